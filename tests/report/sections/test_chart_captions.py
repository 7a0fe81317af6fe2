import pytest

from harness.report.sections.chart_captions import loss_in_words, sentences
from tests.support.samples import losses


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ([(1, 5.14869), (20, 2.77565)], "Loss falls from 5.149 to 2.776, from iteration 1 to 20"),
        ([(0, 1.0), (1500, 2.0)], "Loss rises from 1.000 to 2.000, from iteration 0 to 1,500"),
        ([(1, 1.0), (2, 1.00001)], "Loss is 1.000 at first and at the end"),
        ([(3, 0.0)], "Loss is 0 at iteration 3"),
    ],
)
def test_a_course_is_told_in_numbers(points, text):
    assert loss_in_words("Loss", losses(*points)) == text


def test_names_at_the_start_of_a_sentence_stay_as_they_are():
    assert sentences(["smollm2/qv: 3", "", "b"]) == "smollm2/qv: 3. b."
