"""Tables and pictures from figures that are known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import environment, noise, pictures, report, tables
from benchmarks.cases import SOFTMAX_REGRESSION, Case, cases
from benchmarks.results import FOLDER, Check, Results, Row, compare, in_common, quantity
from benchmarks.tables import Target, compared, holds

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
    "plain loop": 1 / 1.02,
    "floor products": 0.5,
    "floor bytes": 0.25,
    "floor float bytes": 0.3,
}


def results(threads=(2, 1)):
    """Every case of the quick run: torch takes 4 times as long in every round, whatever it is."""
    factors = np.random.default_rng(0).uniform(1, 1.4, 4)
    rows = [
        Row(
            case,
            name,
            count,
            [1e-3 * factor * n / count for n in factors],
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


def factor(found, target):
    first, second = compared(found, target)
    return first.times(second)


def test_target_is_a_ratio_of_rounds():
    found = results()
    torch = Target("epoch", "MLP", "torch", 4.0)
    assert factor(found, torch).median == pytest.approx(4)
    assert holds(torch, factor(found, torch))
    assert not holds(Target("epoch", "MLP", "torch", 4.1), factor(found, torch))
    assert compared(found, Target("epoch", "MLP", "JAX", 1.0)) is None
    assert compared(found, Target("epoch", "MLP", "torch", 1.0, ours="scratchnn fast")) is None
    alone = Target("epoch", "MLP", "torch", 1.0, threads=1)
    assert {row.threads for row in compared(found, alone)} == {1}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("floor products", 2), ("floor products + bytes", 4 / 3), ("plain loop", 1.02)],
)
def test_floor_and_plain_loop_are_limits(limit, expected):
    target = Target("epoch", "MLP", limit, 1.4)
    measured = factor(results(), target)
    assert measured.median == pytest.approx(expected)
    assert holds(target, measured) == (expected < 1.4)


def test_epochs_table_says_who_is_fastest_and_how_far_from_the_floor():
    table = tables.epochs_table([results()], SOFTMAX_REGRESSION).splitlines()
    assert table[0].startswith(
        "| Softmax regression, batch 256, layers 64-10 | what it is | Abacus,"
    )
    assert "2 threads, 2026-01-01: seconds per epoch | × the fastest | × the floor |" in table[0]
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table[2:]}
    names = ["plain loop", "scratchnn", "scratchnn floats", "torch"]
    assert list(rows) == [*names, "floor: products alone", "floor: plus moving the bytes"]
    assert rows["plain loop"][2:] == ["**1.00**", "**1.31** |"]
    assert rows["torch"][0] == "eager, the data in memory as one tensor"
    assert rows["torch"][2:] == ["4.08", "5.33 |"]
    assert rows["scratchnn floats"][3] == "1.50 |"  # its floor moves floats
    assert not tables.epochs_table([results()], "no such model")


def test_epochs_tables_of_machines_stand_beside_each_other():
    other = results()
    other.environment = FACTS | {"cpu": "Slide rule"}
    for row in other.rows:
        if row.backend == "torch":
            row.values = [value / 8 for value in row.values]
    head, _, *rows = tables.epochs_table([results(), other], SOFTMAX_REGRESSION).splitlines()
    assert head.index("Abacus") < head.index("Slide rule")
    assert {line.count(" | ") for line in (head, *rows)} == {7}
    (torch,) = (row for row in rows if row.startswith("| torch"))
    assert "| 4.08 | 5.33 |" in torch
    assert torch.endswith("**1.00** | **0.67** |")


@pytest.mark.parametrize(
    ("cpu", "gpu", "name"),
    [
        ("Intel(R) Xeon(R) Processor @ 2.90GHz", None, "Intel Xeon @ 2.90GHz"),
        ("AMD EPYC", {"name": "NVIDIA H100"}, "AMD EPYC with NVIDIA H100"),
    ],
)
def test_machine_has_a_short_name(cpu, gpu, name):
    found = Results(FACTS | {"cpu": cpu, "gpu": gpu}, [])
    assert found.machine == name
    assert found.where.startswith(f"{name}, 0 threads, 2026")


def test_answers_are_sentences_on_each_machine_and_model():
    found = results()
    slow = tables.answers([found])
    assert slow.startswith("- **Abacus, 2 threads, 2026-01-01.** Softmax regression: plain loop is")
    assert "MLP: plain loop is fastest (" in slow
    assert "1.3 × the floor). scratchnn takes 1.0 × and torch 4.1 × as long." in slow
    for row in found.rows:
        if row.backend == "scratchnn":
            row.values = [0.9 * row.values[0], *row.values[1:]]
        row.noisy = "busy" if row.backend == "plain loop" else ""
    assert "regression: scratchnn is fastest (" in tables.answers([found])  # no noise


def test_tables_mark_noise_and_conclude_nothing_from_it():
    found = results()
    for row in found.rows:
        row.noisy = "busy" if row.backend == "torch" else ""
        row.case = replace(row.case, data="mnist") if row.case.data else row.case
    assert "torch" not in tables.answers([found])
    assert "| 4.08? | 5.33? |" in tables.epochs_table([found], SOFTMAX_REGRESSION)
    assert "4.00 (4.00 to 4.00)? |" in tables.group_table(found, ("op",))
    assert (
        "| torch | ≥ 1.8 | 4.00 (4.00 to 4.00)? | the machine was busy |"
        in tables.targets_table(found)
    )
    assert not tables.crossover_line(found, "torch")
    assert "figures are noise: Abacus was busy" in tables.noise_line(found)
    assert not any("torch" in line for line in tables.exponents_table(found).splitlines())
    assert not tables.noise_line(results())


def test_tables_have_the_figures():
    found = results()
    assert "| torch | 0.00" in tables.threads_table(found)
    assert "softmax regression, 2 threads | MLP, 2 threads | softmax regression, 1 thread" in (
        tables.threads_table(found)
    )
    assert "| cross_entropy (256, 10) |" in tables.group_table(found, ("op",))
    assert "JAX (jax is not installed)" in tables.not_run(found)
    assert "at 16 inputs: every batch size that" in tables.crossover_line(found, "torch")
    line = environment.environment_line(FACTS)
    assert "Abacus; threads: 2 and 1; numpy 2, torch 2.9; BLAS beads" in line


def grown(power):
    """Scaling cases whose time grows with the size to a power."""
    sizes = [case for case in cases("digits") if case.group == "scaling"]
    times = {case: 1e-9 * case.value**power for case in sizes}
    return Results(FACTS, [Row(case, "torch", 1, [t] * 3) for case, t in times.items()])


@pytest.mark.parametrize(
    ("power", "verdict"),
    [(1.0, "as in theory"), (0.5, "more slowly than in theory"), (1.5, "faster than in theory")],
)
def test_exponents_are_held_against_theory(power, verdict):
    lines = tables.exponents_table(grown(power)).splitlines()[2:]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["N", "D", "C", "H", "batch"]
    for line in lines:
        assert f"| {power:.2f} | 1.00 | {verdict} |" in line


def test_multiplications_are_those_of_the_products():
    """Forward, dW, and dX but for the first layer: 5 rows through 4-3-2."""
    case = Case("step", "step", "x", sizes=(4, 3, 2), batch=5, examples=5)
    assert case.multiplications == 5 * (2 * 4 * 3 + 3 * 3 * 2)


def test_targets_table_is_for_mnist_and_two_threads():
    found = results()
    assert not tables.targets_table(found)
    for row in found.rows:
        if row.case.data:
            row.case = replace(row.case, data="mnist")
    table = tables.targets_table(found)
    assert "| MLP | scratchnn | torch | ≥ 1 | 4.00 (4.00 to 4.00) | met |" in table
    assert "| MLP | scratchnn | plain loop | ≤ 1.03 | 1.02 (1.02 to 1.02) | met |" in table
    assert "| MLP | scratchnn fast | JAX | ≥ 1 | not measured |  |" in table
    assert len(table.splitlines()) == 2 + len(tables.TARGETS)
    assert not tables.targets_table(Results(FACTS, [r for r in found.rows if r.threads == 1]))


def test_what_was_not_measured_has_no_section():
    nothing = Results(FACTS, [])
    assert not report.summary([nothing])
    few = Results(FACTS, [row for row in results().rows if row.case.group == "op"])
    assert not report.summary([few])
    assert report.summary([few, results()]) == report.summary([results()])
    assert "|" not in report.details(nothing)
    assert "seconds per epoch" not in report.details(few)
    assert "| relu (256, 10) |" in report.details(few)
    assert "| relu (256, 10) |" in report.text([few])


def test_crossover_line_names_the_batches_that_win():
    rows = [
        Row(Case("crossover", "step", str(batch), sizes=(16, 10), batch=batch), name, 1, [seconds])
        for batch, theirs in ((1, 3.0), (4, 2.0), (64, 0.5))
        for name, seconds in (("scratchnn", 1.0), ("CUDA graph", theirs))
    ]
    line = tables.crossover_line(Results(FACTS, rows), "CUDA graph")
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
    after.rows[0].noisy = "busy"
    first, second, _, head, *lines = compare(before, after).splitlines()
    assert first == "before: Abacus, 2026-01-01, commit abc"
    assert second.startswith("after:  Abacus")
    assert head.split() == ["case", "backend", "threads", "before", "after", "after", "/", "before"]
    assert len(lines) == len(before.rows) - 1  # all but the one that did not run
    assert all(" 2.00 (" in line for line in lines)
    assert [int(line[74:81]) for line in lines] == [row.threads for row in before.rows[:-1]]
    assert [line.endswith("noisy") for line in lines] == [True] + [False] * (len(lines) - 1)


def test_compare_tells_threads_and_processors_apart():
    one, two = results(threads=(1,)), results(threads=(2,))
    assert not in_common(one, two)
    other = results()
    other.environment = FACTS | {"cpu": "Slide rule"}
    assert "Different processors" in compare(results(), other)
    assert "Different processors" not in compare(results(), results())


def test_fill_replaces_what_stands_between_the_markers():
    page = "a\n<!-- t -->\nold\n<!-- /t -->\nb\n"
    assert report.fill(page, {"t": "new\n"}) == "a\n<!-- t -->\nnew\n<!-- /t -->\nb\n"
    with pytest.raises(ValueError, match="must have the markers <!-- u -->"):
        report.fill(page, {"u": ""})


def test_pictures_are_all_there_with_labels():
    figures = pictures.all_of(results())
    assert set(figures) == {"epochs", "ops", "scaling", "threads", "crossover-torch"}
    for figure in figures.values():
        for axis in figure.axes:
            assert axis.get_xlabel() or axis.get_ylabel()


def test_pictures_say_machine_date_and_direction():
    found = results()
    figures = pictures.all_of(found)
    assert set(pictures.names(found)) == set(figures)
    directions = {
        "epochs": "further left is faster",
        "ops": "right of 1, scratchnn is faster",
        "scaling": "lower is faster",
        "threads": "lower is faster",
        "crossover-torch": "above 1 (orange), scratchnn is faster",
    }
    for name, figure in figures.items():
        texts = [figure.get_suptitle(), *(axis.get_title() for axis in figure.axes)]
        assert directions[name] in texts[0]
        assert any("Abacus, 2 threads, 2026-01-01" in text for text in texts)
        for axis in figure.axes:
            for one in (axis.xaxis, axis.yaxis):
                assert one.get_scale() != "log" or "logarithmic" in one.get_label_text()
    assert labels(figures["epochs"].axes[0]) == [
        "floor: products alone",
        "floor: plus moving the bytes",
    ]


def test_pictures_have_noise_as_hollow_points_and_empty_cells():
    found = results()
    assert "hollow" not in pictures.all_of(found)["scaling"].get_suptitle()
    for row in found.rows:
        row.noisy = "busy" if row.backend == "torch" else ""
    figures = pictures.all_of(found)
    assert all("the machine was busy" in figure.get_suptitle() for figure in figures.values())
    first = figures["scaling"].axes[0]
    assert [len(line.get_xdata()) for line in first.lines] == [2, 0, 0, 2]
    assert first.lines[-1].get_markerfacecolor() == "white"
    texts = [text.get_text() for text in figures["crossover-torch"].axes[0].texts]
    assert set(texts) == {noise.MARK}
    ticks = [text.get_text() for text in figures["epochs"].axes[0].get_yticklabels()]
    assert f"torch{noise.MARK}" in ticks


def test_epochs_of_machines_are_rows_of_panels():
    other = results()
    other.environment = FACTS | {"cpu": "Slide rule"}
    other.rows = [row for row in other.rows if "MLP" not in row.case.name]
    titles = [axis.get_title() for axis in pictures.epochs([results(), other]).axes]
    assert [title.split("\n")[-1].partition(",")[0] for title in titles] == [
        "Abacus",
        "Abacus",
        "Slide rule",
        "",
    ]


def test_draw_makes_the_same_files_again(tmp_path):
    """So a report on a clean checkout changes nothing."""
    found = Results(FACTS, [row for row in results((2,)).rows if row.case.group == "epoch"])
    first, second = report.draw(found, tmp_path / "a"), report.draw(found, tmp_path / "b")
    assert [path.name for path in first] == ["epochs.svg", "epochs.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"<dc:date>" not in first[0].read_bytes()


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_threads_and_scaling_say_how_times_grow():
    """Every time in `results` is proportional to 1 / threads, and the same at every size."""
    figures = pictures.all_of(results())
    for axis in figures["threads"].axes:
        names = ("scratchnn", "torch", "scratchnn floats", "plain loop")
        assert labels(axis) == [f"{name}, 2.00 ×" for name in names]
        assert axis.get_legend().get_title().get_text() == "speed-up from 1 to 2 threads"
    for axis in figures["scaling"].axes:
        assert [line[-11:] for line in labels(axis)] == ["0.00 (1.00)", "0.00 (1.00)"]


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
    for figure in pictures.all_of(results()).values():
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
    machines = report.load()
    assert len(machines) == len(list(FOLDER.glob("*.json")))
    for page, made in report.pages(machines).items():
        text = page.read_text(encoding="utf-8")
        assert report.fill(text, made) == text
    for name in pictures.names(machines[0]):
        machine = machines[0].environment["machine"]
        assert (report.PICTURES / machine / f"{name}.png").exists()
