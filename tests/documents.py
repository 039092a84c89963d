"""Checks that what the documents name exists.

  documents.py ROOT              looks through the documents
  documents.py --self-test ROOT  plants wrong names, and requires that each is
                                 found

Looked at is what stands in backticks, outside of code blocks and of version
histories:

  paths      `world/{open,parts}.cc`, `spec/*.md`, `bench.h`: there is such a
             file; a name without its folder is that of some file
  names      `Verify()`, `World::Open()`, `Input::time`, `REENACT_PROBE`: in the
             sources; a member in a file that defines its class, too
  constants  `kSourcesMax`: in the sources; a figure beside it, as in
             `kSourcesMax` = 65,536, `kSourcesMax` (65,536) or a row of a table
             with both, is its value
  failpoints a row that begins with `D01 ticket issued` and names a file: the
             failpoint is there

Comments in C++ do not count as sources.
"""

import glob
import itertools
import os
import re
import sys

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "bench/README.md", "spec/*.md"]
FOLDERS = ["base", "bench", "cmake", "committer", "examples", "executors",
           "harness", "journal", "kernel", "replay", "sequencer", "spec",
           "tests", "tools", "workers", "world"]
FILE_NAME = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:h|cc|py|cmake|cddl|md)")
CALL = re.compile(r"(?<![\w.:>])((?:\w+::)*~?[A-Za-z_]\w+)\((\)?)")
MEMBER = re.compile(r"(?<![\w:])((?:\w+::)+~?\w+)(?![\w(:])")
CONSTANT = re.compile(r"\bk[A-Z]\w*")
MACRO = re.compile(r"\bREENACT_\w+")
NUMBER = r"(\d[\d,]*)(?: (KiB|MiB|GiB))?"
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
LIBRARIES = ("std", "absl", "rocksdb")
# Not in the sources, as the function has other names there or is a family.
FUNCTIONS_OF_THE_SYSTEM = ("exec",)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Sources:
    """The files of the repository, and what is in them."""

    def __init__(self, root):
        self.root = root
        self.paths = []  # of all files in the known folders
        self.texts = {}  # of those that define names
        for folder in FOLDERS:
            for where, _, names in os.walk(os.path.join(root, folder)):
                for name in names:
                    self.add(os.path.relpath(os.path.join(where, name), root))
        for path in glob.glob("*", root_dir=root):
            if os.path.isfile(os.path.join(root, path)):
                self.add(path)
        self.all_text = "\n".join(self.texts.values())

    def add(self, path):
        self.paths.append(path)
        extension = os.path.splitext(path)[1]
        if extension in (".h", ".cc"):
            text = read(os.path.join(self.root, path))
            self.texts[path] = re.sub(r"(?<!:)//.*", "", text)
        elif path != "tests/documents.py" and (
                extension in (".py", ".cmake")
                or os.path.basename(path) == "CMakeLists.txt"
                or path.startswith("tools/") and not extension):
            self.texts[path] = read(os.path.join(self.root, path))

    def has_path(self, pattern):
        return bool(glob.glob(pattern, root_dir=self.root))

    def has_file_name(self, name):
        return any(path == name or path.endswith("/" + name)
                   for path in self.paths)

    def has_name(self, name, called):
        """Whether `A::B::c` is there: c where B is defined, or spelled out."""
        *classes, last = name.split("::")
        end = r"\s*\(" if called else r"\b"
        last = (r"\b" if last[0] != "~" else "") + re.escape(last) + end
        if not classes:
            return re.search(last, self.all_text) is not None
        if re.search(rf"\b{re.escape(classes[-1])}::{last}", self.all_text):
            return True
        return any(re.search(last, text)
                   for text in self.defining(classes[-1]))

    def defining(self, name):
        definition = re.compile(
            r"\b(?:class|struct|union|enum|enum class|namespace|using)\s+"
            rf"(?:\[\[\w+\]\]\s+)?(?:\w+::)*{re.escape(name)}\b(?!\s*;)")
        return [text for text in self.texts.values() if definition.search(text)]

    def values(self, constant):
        """The values that it is defined with; none, if one is not plain."""
        *classes, name = constant.split("::")
        texts = (self.defining(classes[-1]) if classes
                 else self.texts.values())
        values = []
        for text in texts:
            for written in re.findall(
                    rf"\bconstexpr\b[^;=]*?\b{name}\s*(?:=\s*|\{{)([^;}}]*)",
                    text):
                values.append(plain_number(written))
        return [] if None in values else values


def plain_number(text):
    """The value of 64, 0x40, 1'000, 4 << 20 or 8 * 1024; None of all else."""
    text = re.sub(r"(?<=\d)[uUlLzZ]+\b", "", text.replace("'", "")).strip()
    match = re.fullmatch(r"(\w+)(?:\s*(<<|\*)\s*(\w+))?", text)
    try:
        left = int(match.group(1), 0)
        right = int(match.group(3) or "0", 0)
    except (AttributeError, ValueError):
        return None
    return {None: left, "<<": left << right, "*": left * right}[match.group(2)]


def expand(pattern):
    """`a.{h,cc}` is a.h and a.cc."""
    parts = re.split(r"\{([^{}]*)\}", pattern)
    choices = [part.split(",") if i % 2 else [part]
               for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def without_blocks_and_history(text):
    """Empty lines in their place, so that lines keep their numbers."""
    lines = []
    fenced = False
    history = 0  # the level of the heading that we are under
    for line in text.split("\n"):
        if re.match(r"\s*```", line):
            fenced = not fenced
            line = ""
        heading = None if fenced else re.match(r"(#+)\s+(.*)", line)
        if heading and (not history or len(heading.group(1)) <= history):
            is_history = re.fullmatch(r"Versions|Version history",
                                      heading.group(2).strip())
            history = len(heading.group(1)) if is_history else 0
        lines.append("" if fenced or history else line)
    return "\n".join(lines)


class Document:
    """One document, and what is wrong in it: pairs of line and text."""

    def __init__(self, sources, path, text):
        self.sources = sources
        self.path = path
        self.text = without_blocks_and_history(text)
        self.looked_for = 0
        self.wrong = []
        for span in re.finditer(r"`([^`]+)`", self.text):
            line = self.text.count("\n", 0, span.start()) + 1
            code = span.group(1)
            for word in code.split():
                self.check_path(line, word.strip("\"',;:()"))
            self.check_names(line, code)
        for number, line in enumerate(self.text.split("\n"), 1):
            self.check_figures(number, line)
            self.check_failpoints(number, line)

    def expect(self, good, line, what):
        self.looked_for += 1
        if not good:
            self.wrong.append((line, what))

    def check_path(self, line, word):
        if not re.fullmatch(r"[\w.*?{},+-][\w.*?{},/+-]*", word):
            return
        folder = os.path.dirname(self.path)
        for path in expand(word):
            top = path.split("/")[0]
            here = os.path.join(folder, top)
            if "/" in path and top in FOLDERS:
                good = self.sources.has_path(path)
            elif "/" in path and folder and self.sources.has_path(here):
                good = self.sources.has_path(os.path.join(folder, path))
            elif FILE_NAME.fullmatch(path):
                good = self.sources.has_file_name(path)
            else:
                continue
            self.expect(good, line, f"there is no {path}")

    def check_names(self, line, code):
        for name, empty in CALL.findall(code):
            # `sized(x)` is a document's own notation.
            if not (empty or "::" in name or name[0].isupper()):
                continue
            if (name.split("::")[0] in LIBRARIES
                    or name in FUNCTIONS_OF_THE_SYSTEM):
                continue
            self.expect(self.sources.has_name(name, called=True), line,
                        f"there is no {name}()")
        for name in MEMBER.findall(code):
            if name.split("::")[0] not in LIBRARIES:
                self.expect(self.sources.has_name(name, called=False), line,
                            f"there is no {name}")
        for name in CONSTANT.findall(code) + MACRO.findall(code):
            self.expect(self.sources.has_name(name, called=False), line,
                        f"there is no {name}")

    def check_figures(self, line, text):
        name = r"`((?:\w+::)*k[A-Z]\w*)"
        figures = re.findall(
            rf"{name}`?(?: = | \(){NUMBER}(?![\w.]|,\d)", text)
        named = re.findall(rf"{name}`", text)
        if text.startswith("|") and len(named) == 1:
            for cell in text.strip("| ").split("|"):
                number = re.fullmatch(NUMBER, cell.strip())
                if number:
                    figures.append((named[0], *number.groups(default="")))
        for constant, digits, unit in figures:
            figure = int(digits.replace(",", "")) * UNITS[unit]
            values = self.sources.values(constant)
            self.expect(not values or figure in values, line,
                        f"{constant} is {values[:1]}, not {figure}")

    def check_failpoints(self, line, text):
        cells = [cell.strip() for cell in text.strip("| ").split("|")]
        if not text.startswith("| D") or len(cells) != 2:
            return
        files = [path for path in re.findall(r"`([^`]+)`", cells[1])
                 if path in self.sources.texts]
        for name in re.split(r", (?=D\d\d )", cells[0]):
            self.expect(any(f'"{name}"' in self.sources.texts[path]
                            for path in files), line,
                        f"{cells[1]} has no failpoint {name}")


def look_through(root):
    sources = Sources(root)
    paths = sorted(path for pattern in DOCUMENTS
                   for path in glob.glob(pattern, root_dir=root))
    looked_for = 0
    failures = 0
    for path in paths:
        document = Document(sources, path, read(os.path.join(root, path)))
        looked_for += document.looked_for
        for line, what in sorted(document.wrong):
            print(f"FAILED: {path}:{line}: {what}")
            failures += 1
    print(f"{looked_for} names looked for in {len(paths)} documents, "
          f"{failures} failures")
    return 1 if failures or not looked_for else 0


# What is planted, and how many failures it has to give.
PLANTED = [
    ("`world/pipelines.cc` runs.", 1),
    ("`world/{world,nowhere}.{h,cc}`, `journal/*/*.hh`", 3),
    ("`tools/check --fast`, `tools/chek --fast`", 1),
    ("`pipeline.h` is a file, `pipelines.h` and `disk/nothing.h` are none.", 2),
    ("`vectors/journal/` is beside this page, `vectors/jornal/` is not.", 1),
    ("`Verify()`, and `Verfy()`, and `AfterCrsh(log, n, damage)`", 2),
    ("`World::Open()`, `World::Opens()`, `Pipeline::Open()`", 2),
    ("`Input::time`, `Input::tame`, `Inputs::time`", 2),
    ("a span of two lines: `World::Open()\nWorld::Opens()`", 1),
    ("`REENACT_CHECK`, `REENACT_CHEK`", 1),
    ("`kSourcesMax`, `kSourcesMin`", 1),
    ("`kSourcesMax` = 65,536, `kSourcesMax` (65536)", 0),
    ("`kSourcesMax = 65,536`", 0),
    ("`kSourcesMax` = 65,535", 1),
    ("`kSourcesMax` (65,535)", 1),
    ("`kSourcesMax = 65,535`", 1),
    ("| sources | `kSourcesMax` | 65,536 |", 0),
    ("| sources | `kSourcesMax` | 65,535 |", 1),
    ("| what is told | `kMessageBytesMax` | 16 MiB |", 0),
    ("| what is told | `kMessageBytesMax` | 16 KiB |", 1),
    ("| D01 ticket issued | `world/pipeline.cc` |", 0),
    ("| D01 ticket issued | `world/rounds.cc` |", 1),
    ("| D01 ticket isued | `world/pipeline.cc` |", 1),
    ("| D04 before validation, D06 entry encded | `world/pipeline.cc` |", 1),
    ("```sh\ntools/chek `world/pipelines.cc`\n```", 0),
    ("## Version history\n\n`world/pipelines.cc` was there.\n\n## Next", 0),
]


def self_test(root):
    sources = Sources(root)
    path = "spec/journal.md"
    page = read(os.path.join(root, path))
    page = page[:page.index("## Version history")]
    before = Document(sources, path, page).wrong
    failures = 0
    for planted, expected in PLANTED:
        first = page.count("\n") + 1
        document = Document(sources, path, page + planted + "\n")
        found = [pair for pair in document.wrong if pair not in before]
        for line, what in found:
            if not first <= line <= first + planted.count("\n"):
                print(f"FAILED: line {line} instead of {first}: {what}")
                failures += 1
        if len(found) != expected:
            print(f"FAILED: {len(found)} instead of {expected} found in "
                  f"{planted!r}: {found}")
            failures += 1
    print(f"{len(PLANTED)} plants, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        sys.exit(self_test(sys.argv[2]))
    sys.exit(look_through(sys.argv[1]))
