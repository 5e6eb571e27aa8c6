"""Tables and pictures from figures that are known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import pictures, report
from benchmarks.__main__ import has_mnist, main
from benchmarks.cases import Case, cases
from benchmarks.checks import Check
from benchmarks.report import Target, holds, measured_factor
from benchmarks.results import FOLDER, Results, Row, compare, quantity

FACTS = {
    "machine": "test",
    "cpu": "Abacus",
    "gpu": None,
    "threads": [2, 1],
    "python": "3.11",
    "date": "2026-01-01",
    "commit": "abc",
    "blas": "beads",
    "workers": {"2": {"torch": {"versions": {"numpy": "2", "torch": "2.9"}}}},
}
OURS = {
    "scratchnn": 1.0,
    "torch": 4.0,
    "scratchnn floats": 1.2,
    "floor products": 0.5,
    "floor bytes": 0.25,
    "floor float bytes": 0.3,
}


def results(threads=(2, 1)):
    """Every case of the quick run: torch takes 4 times as long in every round, whatever it is."""
    noise = np.random.default_rng(0).uniform(1, 3, 4)
    rows = [
        Row(
            case,
            name,
            count,
            [1e-3 * factor * n / count for n in noise],
            "bytes" if case.kind == "memory" else "s",
            check=Check("z", 0.1, True),
        )
        for count in threads
        for case in cases("digits", quick=True)
        for name, factor in OURS.items()
        if case.group == "epoch" or name in ("scratchnn", "torch")
    ]
    rows.append(Row(rows[0].case, "JAX", 2, not_run="jax is not installed"))
    return Results(FACTS, rows)


def test_results_survive_their_file(tmp_path):
    before = results()
    before.save(tmp_path / "r.json")
    after = Results.load(tmp_path / "r.json")
    assert after.environment == FACTS
    assert [row.case for row in after.rows] == [row.case for row in before.rows]
    assert after.rows[0].check == before.rows[0].check
    for a, b in zip(after.rows, before.rows, strict=True):
        assert a.values == pytest.approx(b.values, rel=5e-4)  # four digits are kept


def test_times_pairs_rounds():
    case = Case("op", "op", "x")
    slow, fast = Row(case, "a", 1, [2.0, 6.0, 4.0]), Row(case, "b", 1, [1.0, 3.0])
    assert slow.times(fast) == (2.0, 2.0, 2.0)


def test_measured_factor_is_the_ratio_of_rounds():
    found = results()
    torch = Target("epoch", "MLP", "torch", 4.0)
    assert measured_factor(found, torch).median == pytest.approx(4)
    assert holds(torch, measured_factor(found, torch))
    assert not holds(Target("epoch", "MLP", "torch", 4.1), measured_factor(found, torch))
    assert measured_factor(found, Target("epoch", "MLP", "JAX", 1.0)) is None


@pytest.mark.parametrize(
    ("floor", "factor"), [("floor products", 2), ("floor products + bytes", 4 / 3)]
)
def test_floor_is_a_limit(floor, factor):
    measured = measured_factor(results(), Target("epoch", "MLP", floor, 1.4))
    assert measured.median == pytest.approx(factor)
    assert holds(Target("epoch", "MLP", floor, 1.4), measured) == (factor < 1.4)


def test_tables_have_the_figures():
    found = results()
    epochs = report.epochs_table(found)
    assert "| torch |" in epochs
    assert "| 4.00 | 5.33 |" in epochs
    assert "| 1.20 | 1.50 |" in epochs  # of scratchnn floats, whose floor moves floats
    assert "| cross_entropy (256, 10) |" in report.group_table(found, ("op",))
    assert "JAX (jax is not installed)" in report.not_run(found)
    assert "at 16 inputs: every batch size; 64 inputs: every batch size" in report.crossover_line(
        found, "torch"
    )
    assert "Abacus; threads: 2 and 1; numpy 2, torch 2.9; BLAS beads" in report.environment_line(
        FACTS
    )


def test_targets_table_is_for_mnist_and_two_threads():
    found = results()
    assert not report.targets_table(found)
    for row in found.rows:
        if row.case.data:
            row.case = replace(row.case, data="mnist")
    table = report.targets_table(found)
    assert "| MLP | torch | ≥ 1.4 | 4.00 (4.00 to 4.00) | met |" in table
    assert "**missed**" in table  # the floors
    assert "| MLP | JAX | ≥ 1.05 | not measured |  |" in table
    assert len(table.splitlines()) == 2 + len(report.TARGETS)
    assert not report.targets_table(Results(FACTS, [r for r in found.rows if r.threads == 1]))


def test_tables_of_nothing_are_empty():
    nothing = Results(FACTS, [])
    assert not report.epochs_table(nothing)
    assert not report.targets_table(nothing)
    assert not report.group_table(nothing, ("op",))
    assert not report.not_run(nothing)


def test_crossover_line_names_the_batches_that_win():
    rows = [
        Row(Case("crossover", "step", str(batch), sizes=(16, 10), batch=batch), name, 1, [seconds])
        for batch, theirs in ((1, 3.0), (4, 2.0), (64, 0.5))
        for name, seconds in (("scratchnn", 1.0), ("CUDA graph", theirs))
    ]
    line = report.crossover_line(Results(FACTS, rows), "CUDA graph")
    assert line.endswith("CUDA graph at 16 inputs: batches of 1, 4.\n")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5, "s", "2.50 s"),
        (0.0123, "s", "12.3 ms"),
        (4.5e-5, "s", "45.0 µs"),
        (123e-6, "s", "123 µs"),
        (2.4e8, "bytes", "240 MB"),
    ],
)
def test_quantity_has_three_digits(value, unit, text):
    assert quantity(value, unit) == text


def test_compare_shows_what_changed():
    before, after = results(), results()
    for row in after.rows:
        row.values = [2 * value for value in row.values]
    lines = compare(before, after).splitlines()
    assert len(lines) == len(before.rows)  # a header, and all but the one that did not run
    assert all(" 2.00 (" in line for line in lines[1:])


def test_fill_replaces_what_stands_between_the_markers():
    page = "a\n<!-- t -->\nold\n<!-- /t -->\nb\n"
    assert report.fill(page, {"t": "new\n"}) == "a\n<!-- t -->\nnew\n<!-- /t -->\nb\n"
    with pytest.raises(ValueError, match="must have the markers <!-- u -->"):
        report.fill(page, {"u": ""})


def test_draw_makes_every_picture_with_labels(tmp_path):
    paths = report.draw(results(), tmp_path)
    names = {"epochs", "ops", "scaling", "threads", "crossover-torch"}
    assert {path.name for path in paths} == {f"{n}.{k}" for n in names for k in ("svg", "png")}
    for figure in pictures.all_of(results()).values():
        for axis in figure.axes:
            assert axis.get_xlabel() or axis.get_ylabel()


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_threads_and_scaling_say_how_times_grow():
    """Every time in `results` is proportional to 1 / threads, and the same at every size."""
    figures = pictures.all_of(results())
    for axis in figures["threads"].axes:
        assert labels(axis) == ["scratchnn, 2.00 ×", "torch, 2.00 ×", "scratchnn floats, 2.00 ×"]
        assert axis.get_legend().get_title().get_text() == "speed-up from 1 to 2 threads"
    for axis in figures["scaling"].axes:
        assert [line[-4:] for line in labels(axis)] == ["0.00", "0.00"]


@pytest.mark.parametrize("ends", [(1e-3, 1e-2), (1e-3, 0.1), (1e-3, 1), (1e-3, 100), (1e3, 64e3)])
def test_ticks_have_room(ends):
    """A few, written plainly, no two of which overlap."""
    figure, (axis,) = pictures.panels(1, 3.6, 3)
    axis.plot(ends, [0, 1])
    axis.set_xscale("log")
    pictures.plain_ticks(axis)
    figure.draw_without_rendering()
    low, high = axis.get_xlim()
    shown = [t for t in axis.get_xticklabels(which="both") if low <= t.get_position()[0] <= high]
    boxes = [text.get_window_extent() for text in shown if text.get_text()]
    assert len(boxes) > 2
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert not any("10^" in text.get_text() for text in shown)


def test_styles_differ():
    assert len(set(pictures.styles(map(str, range(18))).values())) == 18


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.043, "1/23"), (0.1, "0.10"), (0.995, "0.99"), (3.14, "3.1"), (9.96, "10"), (999.0, "999")],
)
def test_cells_have_four_characters(ratio, text):
    assert pictures.cell_label(ratio) == text
    assert len(text) <= 4


def test_crossover_draws_a_line_where_the_faster_one_changes():
    """Between 2 and 1/2, and nowhere else: 1/2 beside no figure is no border."""
    (axis,) = pictures.panels(1, 3, 3)[1]
    pictures.draw_map(axis, np.array([[2.0, 0.5], [2.0, np.nan]]))
    vertical, horizontal = axis.collections
    assert [segment.tolist() for segment in vertical.get_segments()] == [[[0.5, -0.5], [0.5, 0.5]]]
    assert not horizontal.get_segments()


def test_pictures_have_no_legend_over_their_lines():
    """Legends lie below the panels, and all text within the figure."""
    for name in ("scaling", "threads", "ops", "crossover-torch"):
        figure = pictures.all_of(results())[name]
        figure.draw_without_rendering()
        width, height = figure.bbox.size
        for axis in figure.axes:
            box = axis.get_tightbbox()
            assert min(box.x0, box.y0) >= 0
            assert box.x1 <= width
            assert box.y1 <= height
            if legend := axis.get_legend():
                assert legend.get_window_extent().y1 < axis.get_window_extent().y0


def test_report_makes_do_with_what_was_measured():
    """Ours not run in half of the maps' cases, and each axis with a single size."""
    found, axes = results(), set()
    found.rows = [
        row
        for row in found.rows
        if row.case.group != "scaling"
        or (row.case.axis not in axes and not axes.add(row.case.axis))
    ]
    for row in found.rows:
        if row.case.group == "crossover" and row.case.batch == 64 and row.backend == "scratchnn":
            row.not_run = "missing"
    assert {"scaling", "crossover-torch"} <= pictures.all_of(found).keys()
    assert "faster in NumPy than with torch at" in report.details(found)
    found.rows = [row for row in found.rows if row.backend != "scratchnn"]
    assert not [name for name in pictures.all_of(found) if name.startswith("crossover")]
    assert "faster in NumPy" not in report.details(found)


def test_pages_show_what_was_measured():
    """The committed pages are those of the committed results."""
    machines = [Results.load(file) for file in sorted(FOLDER.glob("*.json"))]
    for page, made in report.pages(machines).items():
        text = page.read_text(encoding="utf-8")
        assert report.fill(text, made) == text
    assert report.summary(results()) != report.NOTHING


def test_main_refuses_what_it_does_not_know(capsys):
    for wrong in (["--cases", "epochs"], ["--backends", "tensorflow"], ["--threads", "0"]):
        with pytest.raises(SystemExit) as end:
            main(wrong)
        assert end.value.code == 2
        assert "must be" in capsys.readouterr().err


def test_main_measures_saves_and_draws(tmp_path, capsys):
    file, pictures = tmp_path / "r.json", tmp_path / "pictures"
    arguments = ["--quick", "--data", "digits", "--cases", "inference", "--backends", "scratchnn"]
    assert main([*arguments, "--json", str(file), "--plots", str(pictures)]) == 0
    found = Results.load(file)
    assert all(len(row.values) == 2 for row in found.rows)
    assert found.environment["seed of the turns"] == 0
    assert {"begin", "end", "largest"} == found.environment["load"].keys()
    assert main(["compare", str(file), str(file)]) == 0
    assert "1.00" in capsys.readouterr().out
    assert main(["compare", str(file), str(tmp_path / "none.json")]) == 3


@pytest.mark.parametrize("text", ["", '{"environment": {}}', '{"environment": {}, "rows": [{}]}'])
def test_main_says_what_a_results_file_must_be(text, tmp_path, capsys):
    file = tmp_path / "r.json"
    file.write_text(text)
    assert main(["compare", str(file), str(file)]) == 3
    assert "must be a results file" in capsys.readouterr().err


def test_mnist_is_taken_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCHNN_DATA", str(tmp_path))
    assert not has_mnist()
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    assert has_mnist()


def test_main_saves_what_was_measured_until_it_is_interrupted(tmp_path, monkeypatch, capsys):
    row, file = results().rows[0], tmp_path / "r.json"

    def run(cases, backends, threads, plan):
        plan.say(row)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.runner.run", run)
    assert main(["--quick", "--json", str(file)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [found.case for found in Results.load(file).rows] == [row.case]


def test_quick_has_no_time_for_a_compiler_that_is_not_named(monkeypatch):
    asked = []

    def run(cases, backends, threads, plan):
        asked.append([backend.name for backend in backends])
        return [], {}

    monkeypatch.setattr("benchmarks.runner.run", run)
    for more in ([], ["--backends", "torch.compile"]):
        assert main(["--quick", *more]) == 0
    assert "torch.compile" not in asked[0]
    assert "scratchnn" in asked[0]
    assert asked[1] == ["torch.compile"]
