"""Looking at runs: what show, report, compare and predict print and write."""

import argparse
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import scratchnn.functional as F
from scratchnn import SGD, checkpoint, data, evaluate, fit, mlp
from scratchnn.examine import Answers
from scratchnn.history import History
from scratchnn.run.cli import main
from scratchnn.run.folder import RunFolder
from scratchnn.run.look import compare, page, report, saved, show, text

TRAIN = ["train", "softmax-regression", "--epochs", "3"]


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("SCRATCHNN_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a trained softmax regression on the digits."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main([*TRAIN, "--gradients", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """The folder of a run with validation data and label smoothing."""
    folder = tmp_path_factory.mktemp("runs") / "validated"
    options = ["--validation", "0.1", "--label-smoothing", "0.05", "--out", str(folder)]
    assert main([*TRAIN, *options]) == 0
    return folder


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """The folder of a run that went on by another schedule."""
    folder = tmp_path_factory.mktemp("runs") / "changed"
    assert main([*TRAIN, "--schedule", "cosine", "--out", str(folder)]) == 0
    assert main(["train", "--resume", str(folder), "--epochs", "4", "--schedule", "constant"]) == 0
    return folder


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """The folder of a trained linear regression."""
    folder = tmp_path_factory.mktemp("runs") / "line"
    assert main(["train", "linear-regression", "--epochs", "1", "--out", str(folder)]) == 0
    return folder


def fails(capsys, arguments, status, *parts):
    """Run a command that fails: one line on standard error has these parts."""
    assert main(list(map(str, arguments))) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


# reading


def test_a_run_is_read_with_all_that_it_has(run):
    found = saved.read(run)
    assert found.network.sizes == (64, 10)
    assert [row.epoch for row in found.history.epochs] == [1, 2, 3]
    assert found.settings["learning_rate"] == 0.5
    assert found.record["status"] == "done"
    assert [len(values) for values in found.gradients.values()] == [3]
    assert found.name == "first"


def test_a_checkpoint_alone_is_read(run):
    found = saved.read(run / "best.npz")
    assert not found.history.epochs
    assert found.recipe().name == "softmax-regression"
    assert len(found.data()) == 360


def test_a_run_of_version_0_1_is_read(run, tmp_path):
    new = saved.read(run)
    checkpoint.save(
        tmp_path / "parameters.npz", new.network, recipe="softmax-regression", data="digits"
    )
    content = {**new.settings, "history": new.history.as_dicts()}
    (tmp_path / "history.json").write_text(json.dumps(content))
    old = saved.read(tmp_path)
    assert old.history == new.history
    assert old.settings == new.settings
    (tmp_path / "history.json").write_text("[]")
    with pytest.raises(data.DataError, match=r"history.json: expected the history of a run"):
        saved.read(tmp_path)


def test_a_run_of_ones_own_program_says_that_it_knows_no_data(digits, tmp_path, capsys):
    fit(
        mlp.init([64, 10], rng=1),
        *digits,
        optimizer=SGD(0.1),
        epochs=1,
        checkpoint=RunFolder(tmp_path / "own"),
    )
    assert main(["show", str(tmp_path / "own")]) == 0
    out = capsys.readouterr().out
    assert "does not say what it was trained on" in out
    assert "loss     • train   ○ test" in out


@pytest.mark.parametrize("command", ["show", "report", "evaluate"])
def test_damaged_files_of_a_run_say_which_may_be_whole(run, tmp_path, capsys, command):
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    (broken / "history.jsonl").write_text("no history\n")
    fails(capsys, [command, broken], 3, f"name the .npz alone, {broken / 'checkpoint.npz'}")
    for damage in (lambda path: path.write_bytes(b"no zip"), Path.unlink):
        damage(broken / "checkpoint.npz")
        others = f"{broken / 'previous.npz'} or {broken / 'best.npz'}"
        fails(capsys, [command, broken], 3, f": try {others}\n")


def test_a_run_of_ones_own_program_may_say_what_it_knows(tmp_path, capsys):
    train, test = data.digits(normalize=True)
    network, said = mlp.init([64, 20, 10], rng=1), {"recipe": "mlp", "data": "digits"}
    folder = RunFolder(tmp_path / "own", description={**said, "transform": train.transform})
    fit(network, train, optimizer=SGD(0.1), epochs=1, rng=1, checkpoint=folder)
    assert main(["evaluate", str(tmp_path / "own"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] == evaluate(network, test).loss


# show


def test_show_prints_every_section(run, capsys):
    assert main(["show", str(run)]) == 0
    out = capsys.readouterr().out
    for part in (
        f"{run}: Parameters(64-10, 650 float32)",
        "recipe softmax-regression, data digits, learning rate 0.5",
        "done after 3 epochs",
        "--config",
        "running loss",
        "loss     • train   ○ test",
        "accuracy • train   ○ test",
        "true \\ answer",
        "commonest mistakes:",
        "worst mistakes, of digits test",
    ):
        assert part in out
    assert not [row for row in out.splitlines() if len(row) > 80 and str(run) not in row]


def test_show_has_what_the_validation_data_say(validated, capsys):
    assert main(["show", str(validated)]) == 0
    out = capsys.readouterr().out
    rows = saved.read(validated).history.epochs
    best = min(rows, key=lambda row: row.validation_loss)
    header, first = out.partition("epoch  running")[2].splitlines()[:2]
    assert "valid. loss" in header
    assert first.split()[-2:] == [
        f"{rows[0].validation_loss:.4f}",
        f"{rows[0].validation_accuracy:.2%}",
    ]
    assert (
        f"best epoch by validation: {best.epoch}, validation loss {best.validation_loss:.4f}" in out
    )
    assert "validation 0.1" in " ".join(out.split())
    assert "loss     • train   ○ test   + validation" in out
    assert "All losses are those with label smoothing 0.05." in out


def test_losses_with_label_smoothing_are_named_so(validated, run, capsys):
    assert main(["evaluate", str(validated)]) == 0
    loss = saved.read(validated).history.epochs[-1].test_loss
    assert f"loss {loss:.4f} with label smoothing 0.05, accuracy" in capsys.readouterr().out
    assert main(["compare", str(run), str(validated)]) == 0
    out = capsys.readouterr().out
    words = "by the label smoothing: first without, validated with label smoothing 0.05."
    assert f"Their losses cannot be compared, {words}" in out
    assert "validation loss • validated" in out
    assert main(["compare", str(run), str(run)]) == 0
    assert "label smoothing" not in capsys.readouterr().out


def test_a_run_that_went_on_with_other_settings_says_so(changed, run, capsys):
    """And that it cannot be repeated from its run.json."""
    assert main(["show", str(changed)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    words = (
        "went on with other settings after epoch 3: schedule cosine, now constant; epochs 3, now 4"
    )
    assert words in out
    assert "begin anew scratchnn train --config" in out
    assert "repeat it" not in out
    assert main(["compare", str(run), str(changed)]) == 0
    assert f"changed {words}." in " ".join(capsys.readouterr().out.split())


def test_training_data_are_named_so(line, tmp_path, capsys):
    assert main(["evaluate", str(line)]) == 0
    out = capsys.readouterr().out
    assert "on line, training data: there is no test part (10,000): loss" in out
    folder = tmp_path / "split"
    options = ["--epochs", "1", "--validation", "0.1", "--out", str(folder)]
    assert main(["train", "linear-regression", *options]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["data"], found["examples"]) == ("line validation", 1000)
    assert found["loss"] == saved.read(folder).history.epochs[-1].validation_loss


def test_show_says_how_the_optimizer_was_set(run):
    whole = saved.read(run)
    settings = {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 0.1, "nesterov": False}
    lines = show.heading(saved.Saved(run, whole.network, whole.history, settings))
    assert lines[1] == "trained    optimizer adamw, schedule cosine, weight decay 0.1"
    settings |= {"optimizer": "sgd", "schedule": "constant"}  # as always
    lines = show.heading(saved.Saved(run, whole.network, whole.history, settings))
    assert lines[1] == "trained    weight decay 0.1"


def test_show_counts_right(run, capsys):
    assert main(["show", str(run)]) == 0
    out = capsys.readouterr().out
    found = saved.read(run).answers()
    right = found.confusion.trace()
    assert f"{right} of 360 right ({right / 360:.2%})" in out
    true, answer, count = found.confused(1)[0]
    assert f"commonest mistakes: {true} taken for {answer} ({count})" in out
    rows = re.findall(r"^(\d) ((?: +(?:\d+|·)){10})$", out, re.MULTILINE)
    shown = [[int(n.replace("·", "0")) for n in cells.split()] for _, cells in rows]
    np.testing.assert_array_equal(shown, found.confusion)


def test_show_puts_short_classes_above_their_columns(tmp_path, capsys):
    options = ["--epochs", "1", "--out", str(tmp_path)]
    assert main(["train", "logistic-regression", *options]) == 0
    assert main(["show", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^true \\ answer +3 +8\n3 +\d+ +\d+\n8 +\d+ +\d+$", out, re.MULTILINE)


def test_show_without_the_data_shows_the_curves(run, tmp_path, capsys):
    new = saved.read(run)
    checkpoint.save(tmp_path / "checkpoint.npz", new.network, recipe="mlp", data="mnist")
    assert main(["show", str(tmp_path)]) == 0
    assert "No confusion matrix and no mistakes: no data folder" in capsys.readouterr().out


def test_a_run_remembers_where_its_data_are(run, tmp_path):
    """And another folder can be named in its place."""
    new = saved.read(run)
    settings = {**new.settings, "data": "mnist", "data_dir": str(tmp_path / "then")}
    moved = saved.Saved(run, new.network, new.history, settings)
    with pytest.raises(FileNotFoundError, match="then/MNIST/raw"):
        moved.data()
    with pytest.raises(FileNotFoundError, match="now/MNIST/raw"):
        moved.data(data_dir=str(tmp_path / "now"))


def test_show_of_a_regression_has_no_matrix(line, capsys):
    assert main(["show", str(line)]) == 0
    out = capsys.readouterr().out
    assert "must have classes" in out
    assert "accuracy •" not in out


def test_lines_are_ascii_where_the_terminal_has_no_more(monkeypatch):
    ascii_only = SimpleNamespace(encoding="ascii")
    monkeypatch.setattr(text.sys, "stdout", ascii_only)
    lines = []
    monkeypatch.setattr("builtins.print", lambda words, **_: lines.append(words))
    text.say(["loss  • train   ○ test", "⣿⣿", "1.0 ┤•○·└──"])
    assert lines == ["loss  * train   o test\n1.0 |*o.+--"]


def test_nothing_to_say_prints_nothing(capsys):
    text.say([])
    assert capsys.readouterr().out == ""


def test_show_leaves_out_epochs_of_a_long_history(run):
    whole = saved.read(run)
    rows = [replace(whole.history.epochs[0], epoch=epoch) for epoch in range(1, 101)]
    lines = show.table(saved.Saved(run, whole.network, History(rows), {}))[1:]
    epochs = [int(line.split()[0]) for line in lines]
    assert epochs == [1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100]


@pytest.fixture
def faultless(run):
    """What a network answers that makes no mistakes: to the examples that it has right."""
    found = saved.read(run).answers()
    right = np.flatnonzero(found.answer == found.data.target)
    test = replace(found.data, X=found.data.X[right], target=found.data.target[right])
    return Answers(test, found.z[right], found.p[right])


def test_show_of_a_network_without_mistakes(faultless):
    assert show.mistakes(faultless, 80) == ["no mistakes"]
    lines = show.confusion(faultless, 80)
    assert lines[0].startswith(f"digits test: {len(faultless.z)} of {len(faultless.z)} right")
    assert not any("commonest" in line for line in lines)


def test_report_of_a_network_without_mistakes(faultless):
    pytest.importorskip("matplotlib")
    matrix, reliability, worst, nearly = report._answers(faultless)
    assert matrix.text.endswith("There are no mistakes.")
    assert "No temperature could be fitted: no temperature is best" in reliability.text
    assert worst.html == nearly.html == "<p>There are none.</p>"


@pytest.fixture
def no_images(run):
    """Random answers to examples of four numbers in 25 classes, and the run of the network."""
    rng, names = np.random.default_rng(1), tuple(map("class {}".format, range(25)))
    test = data.Dataset("table", rng.normal(size=(50, 4)), rng.integers(25, size=50), names)
    z = rng.normal(size=(50, 25))
    whole = saved.read(run)
    return Answers(test, z, F.softmax(z)), replace(whole, network=mlp.init([4, 25], rng=1))


def test_show_of_many_classes_and_no_images(no_images):
    """No matrix, which would be too wide, and the mistakes as a table."""
    answers, _ = no_images
    first, _, common, *_ = show.confusion(answers, 80)
    assert first.startswith("table: ")
    assert common.startswith("commonest mistakes: ")
    title, header, worst, *others = show.mistakes(answers, 80)
    assert (title, header.split()) == ("worst mistakes, of table", ["row", "class", "taken", "for"])
    (one,) = answers.worst(1)
    assert worst.split()[0] == str(one.row)
    assert f"{one.target} ({one.p_target:.1%})" in worst
    assert len(others) == 9


def test_report_of_examples_that_are_no_images(no_images):
    pytest.importorskip("matplotlib")
    answers, whole = no_images
    assert [section.title for section in report._answers(answers)] == [
        "Confusion matrix",
        "Reliability",
    ]
    assert list(report._weights(whole, answers.data)) == []


def test_show_escapes_control_characters(tmp_path, run, capsys):
    new = saved.read(run)
    evil = saved.Saved(tmp_path / "\x1b[2J", new.network, new.history, new.settings)
    arguments = argparse.Namespace(data=None, data_dir=None)
    for section in show.sections(evil, arguments):
        assert "\x1b" not in "".join(section)


@pytest.mark.parametrize("command", ["show", "report", "compare", "export", "predict"])
def test_a_missing_run_is_one_line(capsys, tmp_path, command):
    more = {"export": ["x.safetensors"], "predict": ["x.png"]}.get(command, [])
    fails(capsys, [command, tmp_path / "none", *more], 3, "none is missing")


# text


def test_plot_puts_values_where_they_belong():
    lines = text.plot({"a": [0.0, 1.0]}, "loss", width=3, height=3)
    assert lines == [
        "loss     • a",
        "       1 ┤  •",
        "     0.5 ┤ •",
        "       0 ┤•",
        "         └───",
        "          1epoch 2",
    ]


def test_plot_marks_each_series_and_leaves_out_what_is_not_finite():
    lines = text.plot({"a": [2.0, 2.0], "b": [1.0, float("nan")]}, "x", width=2, height=2)
    assert [line[10:] for line in lines[1:3]] == ["••", "○"]
    assert text.plot({"a": [float("nan")]}, "x") == []


def test_plot_of_a_constant_or_a_single_epoch():
    assert text.plot({"a": [3.0]}, "x", width=4, height=3)[1] == "       3 ┤•"


def test_table_aligns_words_left_and_numbers_right():
    assert text.table(["name", "n"], [["a", "10"], ["long\x1b", "7"]]).splitlines() == [
        "name       n",
        "a         10",
        "long\\x1b   7",
    ]


def test_image_is_bright_where_the_pixels_are():
    pixels = np.zeros((8, 8))
    pixels[:4] = 1
    top, bottom = text.image(pixels, height=8)
    assert set(top) == {"⣿"}
    assert set(bottom) == {"⠀"}
    assert len(top) == 4


def test_image_of_one_value_is_drawn():
    assert len(text.image(np.ones((5, 9)), height=8)) == 2


def test_side_by_side_fills_lines():
    blocks = [(["xx", "xx"], ["one"]), (["yy", "yy"], ["two"]), (["zz", "zz"], ["three"])]
    assert text.side_by_side(blocks, 15) == [
        "xx     yy",
        "xx     yy",
        "one    two",
        "",
        "zz",
        "zz",
        "three",
    ]


# report


class Page(HTMLParser):
    """What a page refers to, and whether its elements are closed."""

    VOID = ("meta", "img", "br", "path", "use", "line")

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.headings, self.images = [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action"):
                self.links.append(value)
        self.images += tag == "img"

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, words):
        if self.open[-1:] == ["h2"]:
            self.headings.append(words)


def test_report_is_one_file_that_loads_nothing(run, capsys):
    pytest.importorskip("matplotlib")
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"saved {run / 'report.html'}\n"
    html = (run / "report.html").read_text("utf-8")
    found = Page(html)
    assert found.open == []
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in found.links)
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert found.headings == [
        "Curves",
        "Gradients",
        "Confusion matrix",
        "Reliability",
        "Worst mistakes",
        "Most uncertain mistakes",
        "What the first layer looks for",
        "Repeat it",
        "What was run",
    ]
    assert found.images == 12 + 12 + 10
    answers = saved.read(run).answers()
    assert f"{answers.confusion.trace()} of 360 right" in html
    assert f"is {answers.calibration().temperature:.3f}: " in html
    assert f"scratchnn train --config {run}/run.json --out NEW" in html


def test_report_of_a_regression_shows_the_fit(line, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / "page.html"
    assert main(["report", str(line), "--html", str(path)]) == 0
    headings = ["Curves", "Fit", "Repeat it", "What was run"]
    html = path.read_text("utf-8")
    assert Page(html).headings == headings
    assert html.count("<svg") == 3  # the loss, and a picture for each of two features
    assert "<dt>status</dt><dd>done after 1 epoch</dd>" in html


def test_page_escapes_all_texts():
    evil = "<b>&\"'$"
    sections = [page.Section(evil, evil, page.code(evil))]
    html = page.render(evil, evil, sections, {evil: evil}, word=evil, facts_title=evil)
    assert "<b>" not in html
    assert html.count("&lt;b&gt;&amp;&quot;&#x27;$") == 10


def test_page_says_facts_in_words():
    facts = {"checked": True, "drawn": False, "sizes": [4, 3], "missing": None}
    html = page.render("", "", [], facts)
    assert re.findall(r"<dt>(\w+)</dt><dd>([^<]*)</dd>", html) == [
        ("checked", "yes"),
        ("drawn", "no"),
        ("sizes", "4, 3"),
    ]


def test_png_is_read_by_others():
    pillow = pytest.importorskip("PIL.Image")
    import io

    for shape in ((3, 5), (2, 4, 3)):
        pixels = np.random.default_rng(1).integers(256, size=shape).astype(np.uint8)
        with pillow.open(io.BytesIO(page.png(pixels))) as image:
            np.testing.assert_array_equal(np.array(image), pixels)


def test_signed_image_is_white_at_zero_and_coloured_by_sign(monkeypatch):
    drawn = []
    monkeypatch.setattr(page, "_image", lambda pixels, _: drawn.append(pixels) or "")
    page.signed_image(np.array([[-2.0, 0.0, 2.0, 1.0]]), 2.0, "")
    red, white, blue, half = drawn[0][0]
    assert tuple(red) == page.RED
    assert tuple(white) == (255, 255, 255)
    assert tuple(blue) == page.BLUE
    assert all(blue[k] < half[k] < 255 for k in range(3))


def test_report_names_what_is_missing(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    fails(capsys, ["report", run], 2, "needs matplotlib", "[plots]")


# compare


def test_compare_says_what_differs_and_what_was_reached(run, line, capsys):
    assert main(["compare", str(run), str(line)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^first +3 +0\.\d{4} +0\.\d{4} +\d\d\.\d\d% +\d\d\.\d\d% \(\d\)", out, re.M)
    assert "They were measured on different data: digits test, line." in out
    assert re.search(r"^learning rate +0.5 +0.03$", out, re.M)
    assert not re.search(r"^seed", out, re.M)
    assert "loss     • first   ○ line" in out


def test_compare_chooses_the_best_epoch_by_validation_where_it_can(run, validated, line, capsys):
    """And says by what: an accuracy on test data that chose itself is too good."""

    def best(accuracies, validation):
        rows = [
            replace(row, test_accuracy=accuracy, validation_loss=loss)
            for row, accuracy, loss in zip(
                saved.read(run).history.epochs, accuracies, validation, strict=True
            )
        ]
        return compare._row(("a", replace(saved.read(run), history=History(rows))))[5]

    assert best([0.5, 0.9, 0.7], [None, None, None]) == "90.00% (2)"
    assert best([0.5, 0.9, 0.7], [3.0, 2.0, 1.0]) == "70.00% (3)"
    words = "The best accuracy is that of the epoch in brackets, chosen by"
    for others, by in (
        ([], "test accuracy"),
        ([line], "test accuracy"),
        ([validated], "test accuracy for first, by validation loss for validated"),
    ):
        assert main(["compare", *map(str, [run, *others])]) == 0
        assert f"{words} {by}.\n" in capsys.readouterr().out
    assert main(["compare", str(line)]) == 0
    assert "best accuracy is" not in capsys.readouterr().out


def test_compare_of_folders_with_one_name_takes_their_paths(run, tmp_path, capsys):
    other = tmp_path / "first"
    assert main([*TRAIN, "--seed", "2", "--out", str(other)]) == 0
    capsys.readouterr()
    assert main(["compare", str(run), str(other)]) == 0
    out = capsys.readouterr().out
    assert str(run) in out
    assert re.search(r"^seed +1 +2$", out, re.M)


def test_compare_takes_a_checkpoint_that_does_not_say_all(run, capsys):
    assert main(["compare", str(run), str(run / "best.npz")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^best.npz +- +- +- +- +- +-$", out, re.M)
    assert "what differs" not in out


def test_compare_and_show_say_what_was_imported(run, tmp_path, capsys):
    pytest.importorskip("safetensors")
    path, back = str(tmp_path / "model.safetensors"), str(tmp_path / "back")
    assert main(["export", str(run), path]) == 0
    assert main(["import", path, back]) == 0
    capsys.readouterr()
    assert main(["compare", str(run), back, str(run / "best.npz")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:4]]
    nothing = ["-"] * 5
    assert [row[:2] for row in rows] == [["first", "3"], ["back", "imported"], ["best.npz", "-"]]
    assert rows[1][2:] == rows[2][2:] == nothing
    assert main(["show", back]) == 0
    assert "imported   from model.safetensors" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_page_says_what_stands_in_its_place(run, tmp_path, capsys, command):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    folder = [command, run, "--html", tmp_path]
    fails(capsys, folder, 3, f"{tmp_path} is a folder: name a file")
    below = [command, run, "--html", tmp_path / "file" / "page.html"]
    fails(capsys, below, 3, f"{tmp_path / 'file'} is a file: name a folder")


def test_report_warns_where_it_has_no_answers(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    checkpoint.save(tmp_path / "checkpoint.npz", saved.read(run).network)
    assert main(["report", str(tmp_path)]) == 0
    err = capsys.readouterr().err
    assert "the page has no answers" in err
    assert "does not say what it was trained on" in err


def test_compare_knows_data_by_their_content(run):
    whole = saved.read(run)
    part = {"test": {"name": "digits test 3 and 8", "sha256": "another"}}
    other = saved.Saved(run, whole.network, whole.history, whole.settings, {"data": part})
    words = "They were measured on different data: digits test, digits test 3 and 8."
    assert compare.warnings({"a": whole, "b": other}) == [words]
    assert compare.warnings({"a": whole, "b": whole}) == []


def test_compare_writes_a_page(run, line, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "page.html"
    assert main(["compare", str(run), str(line), "--html", str(path)]) == 0
    found = Page(path.read_text("utf-8"))
    assert found.open == []
    assert found.headings == ["Reached", "Curves", "What differs", "Networks"]
    assert capsys.readouterr().out == f"saved {path}\n"
    assert main(["compare", str(run), "--html", str(path)]) == 0
    assert Page(path.read_text("utf-8")).headings == ["Reached", "Curves", "Networks"]


def test_pages_have_the_validation_curves(validated, changed, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "page.html"
    assert main(["report", str(validated), "--html", str(path)]) == 0
    html = path.read_text("utf-8")
    assert "The best epoch by validation: " in html
    assert "All losses are those with label smoothing 0.05." in html
    assert main(["report", str(changed), "--html", str(path)]) == 0
    assert "Begin anew" in Page(path.read_text("utf-8")).headings
    assert main(["compare", str(validated), str(changed), "--html", str(path)]) == 0
    assert "validation loss of each run over the epochs" in path.read_text("utf-8")


def test_a_run_that_was_killed_is_known_by_its_lock(run, tmp_path, capsys):
    killed = tmp_path / "a killed run"
    shutil.copytree(run, killed)
    found = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(json.dumps({**found, "status": "running"}))
    assert main(["show", str(killed)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    go_on = f"scratchnn train --resume '{killed}'"  # as a shell takes it
    assert "status killed after 3 epochs" in out
    assert f"go on {go_on} repeat it scratchnn train --config '{killed}/run.json' --out" in out
    assert compare.warnings({"a": saved.read(killed)}) == [f"a: killed, go on: {go_on}."]
    with (killed / "history.jsonl").open("rb") as file:
        fcntl = pytest.importorskip("fcntl")
        fcntl.flock(file, fcntl.LOCK_SH)  # another process looks at it as well
        assert compare.warnings({"a": saved.read(killed)}) == [f"a: killed, go on: {go_on}."]
    with RunFolder(killed, goes_on=True).taken():  # another process trains there
        assert compare.warnings({"a": saved.read(killed)}) == ["a: running."]
        assert "go on" not in " ".join(show.heading(saved.read(killed)))


@pytest.mark.parametrize("name", ["my run", "a$HOME", "-x"])
def test_commands_that_are_shown_can_be_typed(run, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, name)
    found = json.loads(Path(name, "run.json").read_text())
    Path(name, "run.json").write_text(json.dumps({**found, "status": "interrupted"}))
    shown = saved.read(name)
    for command, option in ((shown.go_on, "--resume"), (shown.repeat, "--config")):
        words = shlex.split(command)
        assert Path(words[words.index(option) + 1]).exists()
        assert not words[words.index(option) + 1].startswith("-")
    assert main(["train", *shlex.split(shown.go_on)[2:]]) == 0


def test_compare_takes_a_record_that_somebody_edited(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "edited")
    path = tmp_path / "edited" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "data": {"train": 3}}))
    assert main(["compare", str(run), str(path.parent)]) == 0


def test_compare_names_runs_that_stopped(run):
    whole = saved.read(run)
    stopped = saved.Saved(run, whole.network, whole.history, {}, {"status": "diverged"})
    assert compare.warnings({"a": whole, "b": stopped})[-1] == "b: diverged."
