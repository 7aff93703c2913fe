"""`translate -i` of documents and of folders, with a stand-in for the models, and as a process."""

import os
from pathlib import Path

import pytest
from helpers.commands import only_error, run
from helpers.serving import FakeTranslator

from seq2seq.cli.translate_files import DocumentJob, document_format
from seq2seq.documents.formats import format_named
from seq2seq.errors import Seq2SeqError, UsageError
from seq2seq.translation.base import TranslateOptions
from seq2seq.translation.router import Router


def job(only_new: bool = False, quiet: bool = False) -> DocumentJob:
    options = TranslateOptions(source="en", target="de")
    router = Router([FakeTranslator()])
    return DocumentJob(router, router, options, only_new, quiet)


def format_name(path: str, name: str | None = None, as_text: bool = False) -> str | None:
    form = document_format(Path(path), name, lambda: ["en", "de"], as_text)
    return form and form.name


# Which format


@pytest.mark.parametrize("path", ["a.txt", "README", "test.en", "-", "/dev/fd/63"])
def test_plain_text_is_lines(path: str) -> None:
    assert format_name(path) is None


def test_a_document_has_its_format_by_its_name_or_by_the_option() -> None:
    assert format_name("a/b.HTML") == "html"
    assert format_name("a/b.xyz", "html") == "html"
    assert format_name("a/b.html", "text") is None


def test_an_unknown_ending_is_told_and_not_read_as_prose(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text("I am tired.\n")
    assert "'.xyz'" in only_error(run("-i", path), 2)
    assert "no format 'xyz'" in only_error(run("-i", path, "--format", "xyz"), 2)


@pytest.mark.parametrize("option", ["--json", "--tee", "--alignment"])
def test_options_for_lines_are_refused_for_a_document(tmp_path: Path, option: str) -> None:
    path = tmp_path / "a.html"
    path.write_text("I am tired.\n")
    assert "is not plain text" in only_error(run("-i", path, option), 2)


@pytest.mark.parametrize("option", [["--only-new"], ["--format", "html"]])
def test_options_for_documents_are_refused_for_sentences(option: list[str]) -> None:
    assert "for a document" in only_error(run("I am tired.", *option), 2)


# Files


def test_a_file_is_translated_by_the_command(tmp_path: Path) -> None:
    path, output = tmp_path / "a.html", tmp_path / "out.html"
    path.write_text("<p title='Good morning!'>I lost my key.</p>")
    done = run("-i", path, "-o", output)
    assert (done.returncode, done.stdout) == (0, "")
    assert output.read_text(encoding="utf-8") == (
        "<p title='Guten Morgen!'>Ich habe meinen Schlüssel verloren.</p>"
    )
    through_pipe = run("--format", "html", stdin=path.read_bytes())
    assert through_pipe.stdout == output.read_text(encoding="utf-8")
    assert run("-i", path, "-o", tmp_path).returncode == 0  # a folder: under its own name
    assert path.read_text(encoding="utf-8") == through_pipe.stdout


def test_a_damaged_file_is_named_and_its_output_not_touched(tmp_path: Path) -> None:
    path, output = tmp_path / "a.html", tmp_path / "out.html"
    path.write_bytes(b"<p>caf\xe9</p>")
    output.write_text("mine")
    error = only_error(run("-i", path, "-o", output), 1)
    assert f"{path}: byte 7 is not UTF-8" in error
    assert output.read_text() == "mine"


def test_notes_name_the_file_and_where_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = b"<p title='Page 3'>one</p><p>room 7</p>"
    document = job()._open(text, "a.html", format_named("html"))
    assert job()._translate(document, "a.html", show_bar=False) == (
        b"<p title='PAGE 3'>ONE</p><p>ROOM 7</p>"
    )
    assert capsys.readouterr().err == (
        "translate: a.html, text 2: the number 7 is in it.\n"
        "translate: a.html, title: the number 3 is in it.\n"
    )


def test_a_memory_is_taken_for_lines_and_for_documents(tmp_path: Path) -> None:
    memory, page = tmp_path / "tm.tsv", tmp_path / "a.html"
    memory.write_text("I lost 3 keys.\tMir fehlen 3 Schlüssel.\n", encoding="utf-8")
    page.write_text("<p>I lost 12 keys.</p>")
    done = run("-i", page, "--memory", memory)
    assert done.stdout == "<p>Mir fehlen 12 Schlüssel.</p>"
    assert done.stderr == f"translate: {page}, text 1: from the memory.\n"
    assert (
        run("I lost 12 keys.", "--memory", memory, "--quiet").stdout == "Mir fehlen 12 Schlüssel.\n"
    )
    fuzzy = run("I lost 12 key.", "--memory", memory, "--memory-from", "75")
    assert fuzzy.stdout == "Mir fehlen 12 Schlüssel.\n"
    assert fuzzy.stderr == 'translate: from the memory, 92% match of "I lost 3 keys.".\n'
    assert "add --memory" in only_error(run("Yes", "--memory-from", "75"), 2)
    assert "tm.xyz: no format" in only_error(run("Yes", "--memory", tmp_path / "tm.xyz"), 2)


# Folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "docs"
    (source / "sub" / ".git").mkdir(parents=True)
    (source / "index.html").write_text("<p>one</p>")
    (source / "sub" / "b.txt").write_text("two\n")
    (source / "sub" / "c.md").write_text("# three\n")
    (source / "sub" / "d.png").write_bytes(b"\x89PNG")
    (source / "sub" / ".git" / "e.txt").write_text("four\n")
    (source / "LICENSE").write_text("five\n")
    return source


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_keeps_its_tree_and_what_is_no_document_is_copied(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder.parent / "docs.de"
    job().translate_folder(folder, output)
    assert tree(output) == {
        "index.html": b"<p>ONE</p>",
        "sub/b.txt": b"TWO\n",
        "sub/c.md": b"# THREE\n",
        "sub/d.png": b"\x89PNG",
        "LICENSE": b"five\n",
    }
    assert capsys.readouterr().err == (
        f"translate: {output}: 1 copied (.png), 1 copied (LICENSE), 3 translated.\n"
    )


def test_a_second_run_makes_what_is_missing_or_older_than_its_source(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder.parent / "docs.de"
    job().translate_folder(folder, output)
    (output / "index.html").write_text("by hand")
    (output / "sub" / "b.txt").unlink()
    os.utime(output / "sub" / "c.md", (0, 0))
    (output / "mine.txt").write_text("mine")
    capsys.readouterr()
    job().translate_folder(folder, output)
    assert (output / "index.html").read_text() == "by hand"
    assert (output / "mine.txt").read_text() == "mine"
    assert capsys.readouterr().err == f"translate: {output}: 3 there already, 2 translated.\n"


def test_the_output_may_be_inside_the_input_and_is_not_translated_again(folder: Path) -> None:
    for _ in range(2):
        job().translate_folder(folder, folder / "de")
    assert not (folder / "de" / "de").exists()
    assert (folder / "de" / "index.html").read_bytes() == b"<p>ONE</p>"


def test_a_damaged_document_is_told_and_the_others_are_translated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.html").write_bytes(b"\xff")
    output = folder.parent / "docs.de"
    with pytest.raises(Seq2SeqError, match="1 files of the folder are not translated"):
        job(quiet=True).translate_folder(folder, output)
    assert capsys.readouterr().err.startswith(f"translate: {folder / 'a.html'}: byte 1 is not")
    assert not (output / "a.html").exists()
    assert (output / "sub" / "c.md").exists()


def test_links_are_not_followed_out_of_either_folder(folder: Path) -> None:
    outside, output = folder.parent / "outside", folder.parent / "docs.de"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret\n")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "links").symlink_to(outside)
    output.mkdir()
    (output / "sub").symlink_to(outside)
    (output / "index.html").symlink_to(outside / "secret.txt")
    with pytest.raises(Seq2SeqError, match="4 files"):
        job().translate_folder(folder, output)
    assert tree(outside) == {"secret.txt": b"secret\n"}
    assert not (output / "link.txt").exists()


def test_a_folder_does_not_replace_itself_or_what_holds_it(folder: Path) -> None:
    before = tree(folder)
    for output in (folder, folder.parent):
        with pytest.raises(UsageError, match="give another --output"):
            job().translate_folder(folder, output)
    assert tree(folder) == before


def test_a_folder_needs_a_folder_as_output(folder: Path) -> None:
    assert "is a folder" in only_error(run("-i", folder), 2)
    assert "is a folder" in only_error(run("-i", folder, "-o", folder / "LICENSE"), 2)
