"""Settings files, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from ddplint.findings import Applicability, Severity
from ddplint.settings import DEFAULT_EXCLUDE, Settings, SettingsError, load, override


@dataclass(frozen=True)
class Rule:
    name: str


RULES = {
    "DDP001": Rule("unused-suppression"),
    "DDP101": Rule("global-rank"),
    "DDP102": Rule("hardcoded-world-size"),
    "DDP103": Rule("localhost-master-addr"),
    "DDP201": Rule("missing-init"),
}


def rules() -> dict[str, Rule]:
    return RULES


def never() -> dict[str, Rule]:
    raise AssertionError("the rules are imported although none is named")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(here: Path, text: str) -> Settings:
    (here / "ddplint.toml").write_text(text)
    return load(here, None, rules)


def test_defaults(here: Path) -> None:
    settings = load(here, None, never)
    assert settings.exclude == DEFAULT_EXCLUDE
    assert (settings.fail_on, settings.multi_node, settings.root) == (Severity.WARNING, None, None)
    assert set(settings.origins.values()) == {"default"}
    assert settings.enabled("DDP101")


def test_every_key(here: Path) -> None:
    (here / "pyproject.toml").write_text(
        """
        [tool.ddplint]
        select = ["DDP1", "missing-init"]
        ignore = ["localhost-master-addr"]
        extend-select = ["ddp001"]
        extend-ignore = ["HARDCODED_WORLD_SIZE"]
        fixable = ["ALL"]
        unfixable = ["DDP101"]
        extend-safe-fixes = ["DDP1"]
        extend-unsafe-fixes = ["hardcoded-world-size"]
        exclude = ["vendor"]
        extend-exclude = ["*_pb2.py"]
        respect-gitignore = false
        fail-on = "note"
        multi-node = true
        target-torch = "2.1"
        preview = true
        output-format = "json-lines"
        cache-dir = ".cache"
        [tool.ddplint.per-file-ignores]
        "tests/" = ["ALL"]
        [tool.ddplint.severity]
        DDP1 = "note"
        global-rank = "error"
        """
    )
    (here / "src").mkdir()
    settings = load(here / "src", None, rules)
    assert [code for code in RULES if settings.enabled(code)] == ["DDP001", "DDP101", "DDP201"]
    assert not settings.enabled("DDP101", "tests/test_a.py")
    assert settings.may_fix("DDP102")
    assert not settings.may_fix("DDP101")
    assert settings.applicability_of("DDP103", Applicability.UNSAFE) is Applicability.SAFE
    assert settings.applicability_of("DDP103", Applicability.DISPLAY) is Applicability.DISPLAY
    assert settings.applicability_of("DDP102", Applicability.SAFE) is Applicability.UNSAFE
    assert settings.applicability_of("DDP201", Applicability.UNSAFE) is Applicability.UNSAFE
    assert settings.severity_of("DDP101", Severity.WARNING) is Severity.ERROR
    assert settings.severity_of("DDP102", Severity.WARNING) is Severity.NOTE
    assert settings.severity_of("DDP201", Severity.WARNING) is Severity.WARNING
    assert (settings.exclude, settings.extend_exclude) == (("vendor",), ("*_pb2.py",))
    assert (settings.respect_gitignore, settings.fail_on, settings.multi_node) == (False, Severity.NOTE, True)
    assert (settings.target_torch, settings.preview, settings.output_format) == ("2.1", True, "json-lines")
    assert (settings.cache_dir, settings.root, settings.file) == (".cache", str(here), "pyproject.toml")
    assert set(settings.origins.values()) == {"pyproject.toml [tool.ddplint]"}


def test_nearest_file_wins_and_ddplint_toml_wins_over_pyproject(here: Path) -> None:
    (here / "a/b").mkdir(parents=True)
    (here / "pyproject.toml").write_text("[tool.ddplint]\ncache-dir = 'outer'\n")
    (here / "a/pyproject.toml").write_text("[tool.other]\nx = 'not ours'\n")
    assert load(here / "a/b", None, never).cache_dir == "outer"
    (here / "a/pyproject.toml").write_text("[tool.ddplint]\ncache-dir = 'inner'\n")
    assert load(here / "a/b", None, never).cache_dir == "inner"
    (here / "a/ddplint.toml").write_text("cache-dir = 'own'\n")
    assert load(here / "a/b", None, never).cache_dir == "own"
    assert load(here / "a/b", here / "pyproject.toml", never).cache_dir == "outer"


def test_a_broken_pyproject_that_is_not_ours_is_left_alone(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.other\n")
    assert load(here, None, never) == load(here / "..", None, never)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('selct = ["ALL"]', 'ddplint.toml: unknown key "selct" (did you mean "select"?)'),
        ('[tool.ddplint]\nselect = ["ALL"]', "without [tool.ddplint]"),
        ('ignore = ["globl-rank"]', 'ddplint.toml: ignore: unknown rule "globl-rank" (did you mean "global-rank"?)'),
        ('select = ["DDP9"]', 'unknown rule "DDP9"'),
        ('select = ["DDP"]\nignore = ["F401"]', 'ignore: unknown rule "F401"'),
        ('select = "DDP101"', 'ddplint.toml: select: expected a list of strings, not "DDP101"'),
        ("select = [1]", "expected a list of strings, not a list"),
        ('preview = "yes"', 'ddplint.toml: preview: expected true or false, not "yes"'),
        ('fail-on = "warn"', 'expected one of note, warning, error, not "warn" (did you mean "warning"?)'),
        ('output-format = "jsn"', 'did you mean "json"?'),
        ('multi-node = "maybe"', 'multi-node: expected true, false or "auto", not "maybe"'),
        ("target-torch = 2.1", 'expected a version in quotes, such as "2.1", not the number 2.1'),
        ('target-torch = "latest"', 'expected a torch version such as "2.4"'),
        ("cache-dir = 3", "cache-dir: expected a string, not 3"),
        ("per-file-ignores = []", "per-file-ignores: expected a table, not a list"),
        ('[per-file-ignores]\n"a.py" = ["x"]', 'per-file-ignores."a.py": unknown rule "x"'),
        ('[severity]\nglobal-rank = "fatal"', 'severity."global-rank": expected one of'),
        ('[severity]\nglobal-rnk = "note"', 'did you mean "global-rank"?'),
        ("select = [", "ddplint.toml: is not valid TOML"),
    ],
)
def test_errors_name_the_file_the_key_and_the_right_word(here: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(here, text)
    assert "ddplint.toml" in str(caught.value)
    assert message in str(caught.value)


def test_unusable_config_files(here: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read: No such file"):
        load(here, "nowhere.toml", rules)
    (here / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(SettingsError, match=r"pyproject\.toml: there is no \[tool\.ddplint\]"):
        load(here, "pyproject.toml", rules)
    (here / "pyproject.toml").write_text("[tool]\nddplint = 3\n")
    with pytest.raises(SettingsError, match="must be a table"):
        load(here, None, rules)
    (here / "latin.toml").write_bytes(b"cache-dir = '\xe9'\n")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(here, "latin.toml", rules)


def test_the_closest_selector_decides() -> None:
    assert not Settings(ignore=("DDP1",)).enabled("DDP101")
    assert Settings(extend_select=("DDP101",), ignore=("DDP1",)).enabled("DDP101")
    assert not Settings(select=("DDP101",), ignore=("DDP101",)).enabled("DDP101")
    assert not Settings(select=()).enabled("DDP101")


def test_preview_rules_want_to_be_asked_for() -> None:
    assert not Settings().enabled("DDP101", preview=True)
    assert Settings(preview=True).enabled("DDP101", preview=True)
    assert Settings(extend_select=("DDP101",)).enabled("DDP101", preview=True)
    assert not Settings(select=("DDP1",)).enabled("DDP101", preview=True)


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("tests", "tests/a.py", True),
        ("tests/", "pkg/tests/a.py", True),
        ("/tests", "pkg/tests/a.py", False),
        ("*_old.py", "pkg/x_old.py", True),
        ("pkg/*.py", "pkg/a.py", True),
        ("pkg/**", "pkg/x/a.py", True),
        ("**/x/*.py", "x/a.py", True),
        ("pkg/a.py", "other/pkg/a.py", False),
    ],
)
def test_per_file_ignores(here: Path, pattern: str, path: str, ignored: bool) -> None:
    settings = Settings(per_file_ignores={pattern: ("DDP1",)}, root=str(here))
    assert settings.enabled("DDP101", path) is not ignored
    assert settings.enabled("DDP201", path)


def test_the_command_line_comes_last(here: Path) -> None:
    settings = loaded(here, 'ignore = ["DDP103", "DDP101"]\nextend-exclude = ["a"]\nfail-on = "error"\n')
    changed = override(
        settings, rules, select=["DDP103,global-rank"], extend_exclude=["b"], fail_on="note", cache_dir=None
    )
    assert [code for code in RULES if changed.enabled(code)] == ["DDP101", "DDP103"]
    assert (changed.extend_exclude, changed.fail_on) == (("a", "b"), Severity.NOTE)
    assert changed.origins["select"] == "--select"
    assert changed.origins["extend-exclude"] == "ddplint.toml, --extend-exclude"
    assert changed.origins["ignore"] == "ddplint.toml, less --select"
    assert changed.origins["cache-dir"] == "default"
    with pytest.raises(SettingsError, match='--ignore: unknown rule "DDP9"'):
        override(settings, rules, ignore=["DDP9"])
