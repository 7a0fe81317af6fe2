from dataclasses import replace

from harness.worker.model_costs import ModelShape, decode_bytes, training_flops, training_memory

SHAPE = ModelShape(
    layers=3,
    block_parameters=100,
    head_parameters=50,
    attention_width=4,
    kv_width=2,
    vocabulary=10,
    hidden=5,
    stored_bytes=3000,
    weight_bytes=2000,
    kv_bytes_per_element=4,
)


def flops(lengths=(5,), adapted_layers=2, trainable_parameters=10, shape=SHAPE):
    return training_flops(
        shape, lengths=lengths, adapted_layers=adapted_layers, trainable_parameters=trainable_parameters
    )


def test_a_training_step_costs_what_it_costs_by_hand():
    """Rows of 3 and 5 tokens.

    A token: forward 2 (3 * 100 + 50) = 700, backward 2 (2 * 100 + 50) = 500, adapter 6 * 10 = 60: 1260.
    A pair of positions: forward 2 * 4 * 3 = 24, backward twice 2 * 4 * 2 = 32: 56, halved squares included.
    1260 * 8 + 56 * (9 + 25) = 10080 + 1904.
    """
    assert flops((3, 5)) == 11_984.0


def test_attention_costs_half_of_the_square():
    """One layer, no matrices: n = 8, width 4: scores and values of 64 pairs at 2 * 4 FLOP each, halved: 512."""
    bare = replace(SHAPE, layers=1, block_parameters=0, head_parameters=0)
    assert flops((8,), adapted_layers=0, trainable_parameters=0, shape=bare) == 2 * (2 * 64 * 4) / 2


def test_blocks_below_the_lowest_adapter_have_no_backward_pass():
    """A block's backward pass on 5 tokens: 2 * 100 * 5 for its matrices and 2 * 2 * 4 * 25 for its attention."""
    assert flops(adapted_layers=3) - flops(adapted_layers=2) == 1000 + 400


def test_no_weight_of_the_model_gets_a_gradient():
    """With every block adapted a short row costs 4 FLOP a matrix parameter; full fine-tuning would cost 6."""
    big = replace(SHAPE, attention_width=0)
    assert flops((1,), adapted_layers=3, trainable_parameters=0, shape=big) == 4 * (3 * 100 + 50)


def test_rows_cost_what_they_cost_alone():
    assert flops((3, 5)) == flops((3,)) + flops((5,))


def test_a_decoded_token_reads_the_weights_and_the_keys_and_values_before_it():
    """7 tokens, in each of 3 layers a key and a value of 2 numbers of 4 bytes: 336."""
    assert decode_bytes(SHAPE, depth=0) == 2000.0
    assert decode_bytes(SHAPE, depth=7) == 2336.0


def test_training_needs_the_weights_the_adapter_four_times_and_the_logits_twice():
    """3000 stored, 4 * 4 * 25 for the adapter, 2 * 4 * 2 * 32 * 10 for two rows of 32 tokens."""
    assert training_memory(SHAPE, trainable_parameters=25, copies=4, rows=2, tokens=32) == 3000 + 400 + 5120


SMOLLM2 = ModelShape(
    layers=30,
    block_parameters=3_538_944,
    head_parameters=28_311_552,
    attention_width=576,
    kv_width=192,
    vocabulary=49_152,
    hidden=576,
    stored_bytes=538_060_032,
    weight_bytes=538_060_032,
    kv_bytes_per_element=4,
)


def test_the_example_of_the_documentation_is_right():
    """The figures of docs/roofline.md, worked there."""
    assert flops((64,), adapted_layers=16, trainable_parameters=245_760, shape=SMOLLM2) == 28_471_984_128
    assert decode_bytes(SMOLLM2, depth=2048) == 632_431_872
    assert training_memory(SMOLLM2, trainable_parameters=245_760, copies=4, rows=2, tokens=96) == 617_489_664
