"""The documents as a web site, made offline by MkDocs with the theme Material: site.py SOURCES OUTPUT

Copies the documents, and what they link to, to OUTPUT/sources in the folders they have here, so that every link leads to the same file,
and builds OUTPUT/site. A link, picture or heading that is not there, and a document that the navigation lacks, is an error.
"""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

# What a reader needs first stands first. A title, or {title: pages}.
NAVIGATION = [
    {"knockout": "README.md"},
    {"First steps": [{"Installing": "docs/install.md"}, {"From prompts to a figure": "docs/walkthrough.md"},
                     {"Beside other tools": "docs/comparison.md"}, {"In Python": "docs/python.md"}]},
    {"Writing a sweep": [{"What a cell is": "docs/semantics.md"}, {"The sweep spec": "docs/spec.md"}, {"Heads and sublayers": "docs/parts.md"},
                         {"Prompts that are not text": "docs/embeddings.md"},
                         {"Hybrids": "docs/hybrids.md"}, {"Limits": "docs/limits.md"}, {"Precision": "docs/precision.md"}]},
    {"Specs to begin with": [{"Heads": "jobs/heads/README.md"}, {"Hybrids": "jobs/hybrids/README.md"}, {"Windows": "jobs/windows/README.md"},
                             {"Controls": "jobs/controls/README.md"}, {"The paper": "jobs/paper/README.md"}]},
    {"Reading results": [{"Figures": "docs/figures.md"}, {"Statistics": "docs/statistics.md"}, {"The cube": "docs/cube.md"},
                         {"The paper's figures in miniature": "docs/figures/README.md"}]},
    {"Large sweeps": [{"On a cluster": "docs/cluster.md"}, {"Stopping and resuming": "docs/resuming.md"}, {"Shards": "docs/shards.md"},
                      {"Performance": "docs/performance.md"}, {"Scaling": "docs/scaling.md"}]},
    {"Trust": [{"What proves what": "docs/testing.md"}, {"What was measured": "docs/evidence.md"}, {"Security": "SECURITY.md"},
               {"Data": "DATA.md"}, {"Licences of others": "THIRD_PARTY.md"}]},
    {"Changing it": [{"Architecture": "ARCHITECTURE.md"}, {"Contributing": "CONTRIBUTING.md"}, {"Adding a model": "docs/adding-a-model.md"}]},
    {"Changes": "CHANGELOG.md"},
]
LINK = re.compile(r"\]\(\s*<?([^)<>\s#]+)")
OTHERS = ("build", "tests", ".git")  # folders whose documents are not pages


def documents(sources):
    return sorted(path for path in sources.rglob("*.md") if path.relative_to(sources).parts[0] not in OTHERS)


def stage(sources, staged):
    """Copies documents and what they link to; returns the documents' paths."""
    pages = documents(sources)
    files = set(pages)
    for page in pages:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target = page.parent / unquote(link)
            if ":" not in link and target.is_file():
                files.add(target.resolve())
    for path in files:
        copy = staged / path.resolve().relative_to(sources)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            copy.write_text(with_lists(path.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            shutil.copyfile(path, copy)
    return [str(page.relative_to(sources)) for page in pages]


def with_lists(text):
    """The text with an empty line before every list that follows a line of text, outside code."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    for k in range(0, len(parts), 2):
        lines = parts[k].split("\n")
        for at in range(len(lines) - 1, 0, -1):
            starts = re.match(r"(- |\d+\. )", lines[at])
            if starts and lines[at - 1].strip() and not re.match(r"(- |\d+\. |  )", lines[at - 1]):
                lines.insert(at, "")
        parts[k] = "\n".join(lines)
    return "".join(parts)


def settings(output, mkdocs_version):
    found = {
        "site_name": "knockout", "docs_dir": str(output / "sources"), "site_dir": str(output / "site"), "use_directory_urls": False,
        "theme": {"name": "material", "font": False, "features": ["navigation.sections", "content.code.copy", "toc.follow"]},
        "markdown_extensions": ["tables", "fenced_code", "sane_lists", "attr_list", {"toc": {"permalink": True}}],
        "plugins": ["search"], "nav": NAVIGATION}
    if mkdocs_version >= (1, 6):
        found["validation"] = {"omitted_files": "warn", "absolute_links": "warn", "unrecognized_links": "warn", "anchors": "warn"}
    return found


def main():
    sources, output = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    import mkdocs
    shutil.rmtree(output, ignore_errors=True)
    pages = stage(sources, output / "sources")
    lacking = set(pages) - set(re.findall(r"[\w./-]+\.md", json.dumps(NAVIGATION)))
    if lacking:
        sys.exit(f"cmake/site.py: NAVIGATION lacks {', '.join(sorted(lacking))}: add it where a reader needs it")
    (output / "mkdocs.yml").write_text(json.dumps(settings(output, tuple(map(int, mkdocs.__version__.split(".")[:2]))), indent=1), encoding="utf-8")
    # Not --quiet, which hides warnings from --strict too.
    made = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(output / "mkdocs.yml")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    print(made.stdout if made.returncode else f"made {output / 'site' / 'index.html'}")
    return made.returncode


if __name__ == "__main__":
    sys.exit(main())
