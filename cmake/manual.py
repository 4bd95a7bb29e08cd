"""Manual pages, completions and the spec's schema, from what the program says of itself and from the documents:
manual.py PROGRAM SOURCES OUTPUT

Writes OUTPUT/man/man1/knockout.1 and knockout-COMMAND.1 (of `knockout help --json`), man/man5/knockout-spec.5 and knockout-cube.5 (of
docs/spec.md and docs/cube.md), completions/{knockout.bash,_knockout,knockout.fish}, and spec.schema.json (of `knockout help --schema`).
"""
import json
import re
import subprocess
import sys
from pathlib import Path

FILES = {"CUBE": "h5", "SHARD...": "h5", "SPEC": "yaml", "FILE": "", "FOLDER": "/", "CHECKPOINT": "/"}  # by placeholder: what is completed

# Options whose values are those of the cube that is named: the sed program that takes them out of `knockout status CUBE --json`.
AXES = {"model": r's/^ *"model":"\(.*\)",*$/\1/p', "route": r's/^ *"route":"\(.*\)",*$/\1/p',
        "target": r's/^ *"route":"\(.*\)<-.*",*$/\1/p', "source": r's/^ *"route":".*<-\(.*\)",*$/\1/p'}
PLAIN = "sed 's/\\\\\\\\/\\\\/g' | sort -u"  # the text of a JSON string whose only escapes are of backslashes; each value once


def axis_of(command, option):
    """The axis of the cube that an option chooses from, else None. The option --minus-AXIS chooses from AXIS."""
    axis = option["name"].removeprefix("minus-")
    return axis if command["arguments"].split(" ")[0] == "CUBE" and axis in AXES and option["type"] != "flag" else None


def roff(text):
    """Plain text in a manual page."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def inline(text):
    """A paragraph of Markdown: code and strong words bold, links by their text."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    found = []
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text):
        if part.startswith("`") and part.endswith("`") and len(part) > 1:
            found.append(f"\\fB{roff(part[1:-1])}\\fR")
        elif part.startswith("**") and len(part) > 4:
            found.append(f"\\fB{roff(part[2:-2].replace('`', ''))}\\fR")
        else:
            found.append(roff(re.sub(r"\*([^*\s][^*]*)\*", r"\1", part)))
    line = "".join(found)
    return "\\&" + line if line.startswith((".", "'")) else line


def table(rows):
    """A table as a list: the first cell, and below it the others, each after its column's title."""
    cells = [[c.strip().replace("\0", "|") for c in row.strip().strip("|").replace("\\|", "\0").split("|")] for row in rows]
    head, lines = cells[0], []
    for row in cells[2:]:
        rest = [f"{title}: {cell}" if title and len(head) > 2 else cell for title, cell in zip(head[1:], row[1:]) if cell and cell != "–"]
        lines += [".TP", inline(row[0]) or "\\&", inline("; ".join(rest)) or "\\&"]
    return lines


def blocks(text):
    """(kind, lines) of a document: heading, code, table, item, text."""
    lines, at = text.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```") or line.lstrip().startswith("```"):
            indent, begin = len(line) - len(line.lstrip()), at + 1
            at = begin
            while not lines[at].strip().startswith("```"):
                at += 1
            yield "code", [code[indent:] for code in lines[begin:at]]
            at += 1
        elif re.match(r"#{1,3} ", line):
            yield "heading", [line]
            at += 1
        elif line.startswith("|"):
            begin = at
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            yield "table", lines[begin:at]
        elif line.startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            begin = at
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            yield "code", [code[4:] for code in lines[begin:at]]
        elif re.match(r"(-|\d+\.) ", line):
            begin = at
            at += 1
            while at < len(lines) and lines[at].startswith("  ") and not lines[at].strip().startswith("```"):
                at += 1
            yield "item", [re.sub(r"^(-|\d+\.) ", "", lines[begin])] + [more.strip() for more in lines[begin + 1:at]]
        elif line.strip():
            begin = at
            at += 1
            while at < len(lines) and lines[at].strip() and not re.match(r"(#{1,3} |\||```|- |\d+\. )", lines[at]):
                at += 1
            yield "text", lines[begin:at]
        else:
            at += 1


def page_of_document(name, what, text, header, footer):
    """A page of section 5 of a Markdown document. Its title becomes NAME, its headings SH and SS."""
    out = [header, ".SH NAME", f"{roff(name)} \\- {roff(what)}", ".SH DESCRIPTION"]
    for kind, lines in blocks(text):
        if kind == "heading":
            depth, title = lines[0].split(" ", 1)
            if len(depth) > 1:
                out.append(f".{'SH' if len(depth) == 2 else 'SS'} \"{inline(title).upper() if len(depth) == 2 and '`' not in title else inline(title)}\"")
        elif kind == "code":
            while lines and not lines[-1].strip():
                lines.pop()
            out += [".PP", ".RS 4", ".EX", *("\\&" + roff(line) if line.startswith((".", "'")) else roff(line) for line in lines), ".EE", ".RE"]
        elif kind == "table":
            out += table(lines)
        elif kind == "item":
            out += [".IP \\(bu 2", inline(" ".join(lines))]
        else:
            out += [".PP", inline(" ".join(lines))]
    return "\n".join(out + [".SH SEE ALSO", footer]) + "\n"


def placeholder(option):
    """What --help writes behind an option."""
    if option["type"] == "flag":
        return ""
    if "choices" in option:
        return option["unit"]
    return option["unit"].replace(" ", "-").upper() or ("NUMBER" if option["type"] == "whole" else "TEXT")


def names_of(option):
    return (["-o"] if option["name"] == "output" else []) + ["--" + option["name"]]


def command_page(command, header, listed):
    out = [header, ".SH NAME", f"knockout\\-{command['name']} \\- {roff(command['help'])}", ".SH SYNOPSIS",
           f".B knockout {command['name']}", f".I {roff(command['arguments'])}" if command["arguments"] else "", ".RI [ OPTIONS ]",
           ".SH DESCRIPTION", roff(command["help"][0].upper() + command["help"][1:]) + ".", ".SH OPTIONS"]
    for option in command["options"]:
        shown = ", ".join(f"\\fB{roff(name)}\\fR" for name in names_of(option))
        value = placeholder(option)
        said = option["help"] + (f" [{option['default']}]" if option["default"] else "")
        out += [".TP", shown + (f" \\fI{roff(value)}\\fR" if value else ""), roff(said),
                f"(\\fB{option['variable']}\\fR)"]
    out += [".TP", "\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "print this help", ".SH ENVIRONMENT",
            "Each option can also be set by the variable in parentheses. The command line wins over the environment, and both win over the spec.",
            *exit_status(listed), ".SH SEE ALSO", ".BR knockout (1), knockout\\-spec (5), knockout\\-cube (5)"]
    return "\n".join(line for line in out if line) + "\n"


def exit_status(listed):
    return [".SH EXIT STATUS"] + [line for status, meaning in listed["exit_status"].items() for line in (".TP", f"\\fB{status}\\fR", roff(meaning))]


def main_page(listed, header):
    out = [header, ".SH NAME", "knockout \\- attention\\-knockout ablations of language models", ".SH SYNOPSIS", ".B knockout", ".I COMMAND",
           ".RI [ ARGUMENTS ] \" \" [ OPTIONS ]", ".SH DESCRIPTION",
           "Reads a sweep spec and writes one HDF5 file, the cube: what happens to the answers of language models if edges between tokens, "
           "single heads or whole sublayers are knocked out in windows of layers.", ".SH COMMANDS"]
    for command in listed["commands"]:
        out += [".TP", f"\\fB{command['name']}\\fR \\fI{roff(command['arguments'])}\\fR", roff(command["help"]),
                f"(\\fBknockout\\-{command['name']}\\fR(1))"]
    out += [".TP", "\\fBhelp\\fR [\\fICOMMAND\\fR]", "print help; \\fBhelp \\-\\-json\\fR: all commands and options; \\fBhelp \\-\\-schema\\fR: the "
            "JSON schema of a spec", ".TP", "\\fBversion\\fR", "print the version and the commit it was built from", *exit_status(listed),
            ".SH SEE ALSO", ", ".join(f"\\fBknockout\\-{c['name']}\\fR(1)" for c in listed["commands"]) +
            ", \\fBknockout\\-spec\\fR(5), \\fBknockout\\-cube\\fR(5)"]
    return "\n".join(out) + "\n"


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def bash(listed):
    """Words after the command: options, choices, and files of the kind that is asked for."""
    commands = [c["name"] for c in listed["commands"]] + ["help", "version"]
    cases, values = [], {}
    for command in listed["commands"]:
        words = " ".join(name for option in command["options"] for name in names_of(option)) + " --help"
        kind = FILES.get(command["arguments"].split(" ")[0], None)
        cases.append(f"    {command['name']}) words={quoted(words)}; kind={quoted('none' if kind is None else kind)} ;;")
        for option in command["options"]:
            for name in names_of(option):
                if axis_of(command, option):
                    values[command["name"], name] = "axis", AXES[axis_of(command, option)]
                elif option["type"] != "flag":
                    values[command["name"], name] = ("words", " ".join(option["choices"])) if "choices" in option else (
                        "files", FILES.get(option["unit"], "none"))
    given = [f"    {quoted(f'{command} {name}')}) {what}={quoted(value)} ;;" for (command, name), (what, value) in values.items()]
    return "\n".join(["# Completion of knockout for bash. Made by cmake/manual.py.", "_knockout_axis() {", "    local word IFS=$'\\n'",
                      "    for word in \"${COMP_WORDS[@]:2}\"; do", "        [ -f \"$word\" ] || continue", "        COMPREPLY=($(compgen -W "
                      "\"$(\"${COMP_WORDS[0]}\" status \"$word\" --json 2>/dev/null | sed -n \"$1\" | " + PLAIN + " | sed 's/[^[:alnum:]_.:-]/"
                      "\\\\\\\\\\\\&/g')\" -- \"$2\"))", "        return", "    done", "}", "_knockout_files() {", "    local IFS=$'\\n'",
                      "    compopt -o filenames 2>/dev/null", "    case $1 in",
                      "    none) ;;", "    /) COMPREPLY=($(compgen -d -- \"$2\")) ;;", "    '') COMPREPLY=($(compgen -f -- \"$2\")) ;;",
                      "    *) COMPREPLY=($(compgen -d -- \"$2\"; compgen -f -X \"!*.$1\" -- \"$2\")) ;;", "    esac", "}", "_knockout() {",
                      "    local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}",
                      "    local words='' kind=none files='' axis=''", "    COMPREPLY=()", "    if [ \"$COMP_CWORD\" = 1 ]; then",
                      f"        COMPREPLY=($(compgen -W {quoted(' '.join(commands + ['--help', '--version']))} -- \"$now\"))", "        return",
                      "    fi", "    if [ \"$command\" = help ]; then",
                      f"        COMPREPLY=($(compgen -W {quoted(' '.join(c['name'] for c in listed['commands']))} -- \"$now\"))", "        return",
                      "    fi", "    case \"$command $before\" in", *given, "    *) ;;", "    esac",
                      "    if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$now\")); return; fi",
                      "    if [ -n \"$axis\" ]; then _knockout_axis \"$axis\" \"$now\"; return; fi",
                      "    if [ -n \"$files\" ]; then _knockout_files \"${files#=}\" \"$now\"; return; fi",
                      "    case $command in", *cases, "    *) return ;;", "    esac", "    if [[ $now == -* ]]; then",
                      "        COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))", "    else", "        _knockout_files \"$kind\" \"$now\"", "    fi",
                      "}", "complete -F _knockout knockout", ""])


def zsh_action(unit, choices):
    if choices:
        return f":{unit.replace(':', '')[:20]}:({' '.join(choices)})"
    kind = FILES.get(unit)
    files = {None: " ", "": "_files", "/": "_files -/"}.get(kind, f"_files -g \"*.{kind}\"")
    return f":{unit or 'value'}:{files}"


def zsh(listed):
    def clean(text):
        return text.replace("[", "(").replace("]", ")").replace(":", ",")
    out = ["#compdef knockout", "# Completion of knockout for zsh. Made by cmake/manual.py.", "_knockout_axis() {", "    local word take; local -a found",
           "    case $1 in", *(f"    {axis}) take={quoted(take)} ;;" for axis, take in AXES.items()), "    esac", "    for word in $words[2,-1]; do",
           "        [[ -f ${(Q)word} ]] || continue",
           "        found=(\"${(@f)$(knockout status ${(Q)word} --json 2>/dev/null | sed -n $take | " + PLAIN + ")}\")",
           "        compadd -a found", "        return", "    done", "}", "_knockout() {", "    local -a commands",
           "    commands=("]
    out += [f"        {quoted(c['name'] + ':' + clean(c['help']))}" for c in listed["commands"]]
    out += ["        'help:print help'", "        'version:print the version'", "    )", "    if (( CURRENT == 2 )); then",
            "        _describe command commands", "        return", "    fi", "    local command=$words[2]", "    shift words", "    (( CURRENT-- ))",
            "    case $command in"]
    for command in listed["commands"]:
        out += [f"    {command['name']})", "        _arguments \\"]
        for option in command["options"]:
            for name in names_of(option):
                star = "*" if option["repeated"] else ""
                axis = axis_of(command, option)
                tail = f":{option['unit']}: _knockout_axis {axis}" if axis else "" if option["type"] == "flag" else zsh_action(
                    option["unit"], option.get("choices"))
                sign = "" if option["type"] == "flag" or name == "-o" else "="
                out.append(f"            {quoted(star + name + sign + '[' + clean(option['help']) + ']' + tail)} \\")
        kind = command["arguments"].split(" ")[0]
        out += [f"            {quoted(('*' if kind.endswith('...') else '1') + zsh_action(kind, None))}" if kind else "            '--help[print help]'",
                "        ;;"]
    out += ["    help) _describe command commands ;;", "    esac", "}", "_knockout \"$@\"", ""]
    return "\n".join(out)


def fish(listed):
    out = ["# Completion of knockout for fish. Made by cmake/manual.py.", "function __knockout_axis", "    for word in (commandline -opc)[3..-1]",
           "        test -f $word; or continue",
           "        knockout status $word --json 2>/dev/null | sed -n $argv[1] | " + PLAIN.replace("\\", "\\\\"), "        return", "    end", "end",
           "complete -c knockout -f"]
    names = [c["name"] for c in listed["commands"]]
    for name, said in [(c["name"], c["help"]) for c in listed["commands"]] + [("help", "print help"), ("version", "print the version")]:
        out.append(f"complete -c knockout -n __fish_use_subcommand -a {name} -d {quoted(said)}")
    out.append(f"complete -c knockout -n '__fish_seen_subcommand_from help' -a {quoted(' '.join(names))}")
    for command in listed["commands"]:
        here = f"complete -c knockout -n '__fish_seen_subcommand_from {command['name']}'"
        kind = FILES.get(command["arguments"].split(" ")[0])
        if kind is not None:
            out.append(f"{here} -a {quoted({'/': '(__fish_complete_directories)'}.get(kind, f'(__fish_complete_suffix .{kind})'))}")
        for option in command["options"]:
            words = f"{here} -l {option['name']}" + (" -s o" if option["name"] == "output" else "") + f" -d {quoted(option['help'])}"
            if axis_of(command, option):
                words += " -x -a " + quoted(f"(__knockout_axis {quoted(AXES[axis_of(command, option)])})")
            elif option["type"] != "flag":
                words += " -x -a " + quoted(" ".join(option["choices"])) if "choices" in option else " -r -F" if option["unit"] in FILES else " -x"
            out.append(words)
    return "\n".join(out + [""])


def main():
    program, sources, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    said = {form: subprocess.run([program, "help", f"--{form}"], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
            for form in ("json", "schema")}
    listed, version = json.loads(said["json"]), (sources / "VERSION").read_text().strip()

    def header(name, section):
        return f'.TH {roff(name.upper())} {section} "" "knockout {version}" "knockout"'

    man1, man5, completions = output / "man" / "man1", output / "man" / "man5", output / "completions"
    for folder in (man1, man5, completions):
        folder.mkdir(parents=True, exist_ok=True)
    (man1 / "knockout.1").write_text(main_page(listed, header("knockout", 1)), encoding="utf-8")
    for command in listed["commands"]:
        name = f"knockout-{command['name']}"
        (man1 / f"{name}.1").write_text(command_page(command, header(name, 1), listed), encoding="utf-8")
    for name, what in (("spec", "the sweep spec that knockout reads"), ("cube", "the HDF5 file that knockout writes")):
        text = (sources / "docs" / f"{name}.md").read_text(encoding="utf-8")
        other = {"spec": "cube", "cube": "spec"}[name]
        (man5 / f"knockout-{name}.5").write_text(page_of_document(
            f"knockout-{name}", what, text, header(f"knockout-{name}", 5),
            f"\\fBknockout\\fR(1), \\fBknockout\\-run\\fR(1), \\fBknockout\\-{other}\\fR(5)"), encoding="utf-8")
    (completions / "knockout.bash").write_text(bash(listed), encoding="utf-8")
    (completions / "_knockout").write_text(zsh(listed), encoding="utf-8")
    (completions / "knockout.fish").write_text(fish(listed), encoding="utf-8")
    (output / "spec.schema.json").write_text(said["schema"], encoding="utf-8")


if __name__ == "__main__":
    main()
