"""Steps of a training, made by hand: a slow one to vary, and a row of them after a warm-up."""

from harness.worker.workloads.steps import TrainingStep, TrainingSteps

MIB = 2**20
SLOW = TrainingStep(
    elapsed_s=90.0,
    train_loss=8.0,
    trainer_loss=9.0,
    learning_rate=1.0,
    lengths=(1, 1, 1, 1, 1, 1, 1),
    loss_tokens=1,
    padded_tokens=999,
    text_bytes=1,
    active_bytes=10 * MIB,
    footprint_bytes=100 * MIB,
)


def steps(*arguments, warmup_iters=1):
    return TrainingSteps(all=arguments, warmup_iters=warmup_iters)
