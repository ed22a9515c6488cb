"""Renders the Helm chart where Helm itself is not to be had: the part of Go's templates and of Helm's functions that the
chart uses. What it does not know is an error, so that nothing is rendered otherwise than Helm would without a word.

    python3 scripts/chart.py deploy/helm/fluxiondb [VALUES.yaml...]

Needs PyYAML and jsonschema.
"""
import hashlib
import json
import pathlib
import re
import sys

import jsonschema
import yaml

ACTION = re.compile(r"\{\{(?P<left>- )?\s*(?P<code>/\*.*?\*/|.*?)\s*(?P<right> -)?\}\}", re.S)
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|-?\d+|:=|[()|]|\$?(?:\.?[A-Za-z_]\w*)+|\$|\.)')


class ChartError(Exception):
    """The chart, or the values for it, can't be rendered."""


def pieces(text):
    """The texts and actions of a template, white space trimmed as the actions ask."""
    found, end, trim = [], 0, False
    for match in ACTION.finditer(text):
        between = text[end:match.start()]
        between = between.lstrip() if trim else between
        found.append(("text", between.rstrip() if match["left"] else between))
        if not match["code"].startswith("/*"):
            found.append(("action", match["code"].strip()))
        end, trim = match.end(), match["right"] is not None
    found.append(("text", text[end:].lstrip() if trim else text[end:]))
    return found


def parse(found, defined, inside=False):
    """A list of nodes up to the `end` or `else` of the block that they are in, and that word."""
    nodes = []
    while found:
        kind, text = found.pop(0)
        word, _, rest = text.partition(" ") if kind == "action" else (None, None, text)
        if kind == "text":
            nodes.append(("text", text))
        elif word in ("end", "else"):
            if not inside:
                raise ChartError(f"{{{{{text}}}}} belongs to nothing")
            return nodes, text
        elif word == "define":
            body, _ = parse(found, defined, True)
            defined[json.loads(rest)] = body
        elif word in ("if", "with", "range"):
            nodes.append(block(word, rest, found, defined))
        else:
            nodes.append(("put", tokens(text)))
    if inside:
        raise ChartError("a block has no {{end}}")
    return nodes, "end"


def block(word, condition, found, defined):
    """An `if`, `with` or `range` with what it does else."""
    body, stop = parse(found, defined, True)
    otherwise = []
    if stop.startswith("else if "):
        otherwise = [block("if", stop[len("else if "):], found, defined)]
    elif stop == "else":
        otherwise, _ = parse(found, defined, True)
    return (word, tokens(condition), body, otherwise)


def tokens(code):
    """The words of an action."""
    found, end = [], 0
    while end < len(code):
        match = TOKEN.match(code, end)
        if not match:
            raise ChartError(f"can't read {code[end:]!r} in {{{{{code}}}}}")
        found.append(match[1])
        end = match.end()
    return found


class Template:
    """One rendering: the named templates, and what they are given."""

    def __init__(self, defined):
        self.defined = defined
        self.functions = {
            "and": lambda *all: next((one for one in all if not one), all[-1]),
            "contains": lambda part, text: part in text,
            "default": lambda other, value=None: value or other,
            "include": lambda name, dot: self.render(self.named(name), dot, {"$": dot}),
            "nindent": lambda count, text: "\n" + indent(count, text),
            "not": lambda value: not value,
            "printf": lambda form, *values: form % values,
            "quote": lambda value: json.dumps(shown(value), ensure_ascii=False),
            "required": required,
            "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest(),
            "toYaml": lambda value: yaml.safe_dump(value, allow_unicode=True).removesuffix("...\n").rstrip("\n"),
            "trimSuffix": lambda end, text: text.removesuffix(end),
            "trunc": lambda length, text: text[:length],
        }

    def named(self, name):
        if name not in self.defined:
            raise ChartError(f"no template is named {name!r}")
        return self.defined[name]

    def render(self, nodes, dot, names):
        """The text of nodes; `names` are the variables, which end with the block that they are in."""
        out, names = [], dict(names)
        for node in nodes:
            if node[0] == "text":
                out.append(node[1])
            elif node[0] == "put":
                if node[1][1:2] == [":="]:
                    names[node[1][0]] = self.value(node[1][2:], dot, names)
                else:
                    out.append(shown(self.value(node[1], dot, names)))
            else:
                out.append(self.block(node, dot, names))
        return "".join(out)

    def block(self, node, dot, names):
        word, condition, body, otherwise = node
        value = self.value(condition, dot, names)
        if not value:
            return self.render(otherwise, dot, names)
        if word == "range":
            return "".join(self.render(body, one, names) for one in value)
        return self.render(body, value if word == "with" else dot, names)

    def value(self, code, dot, names):
        """The value of a pipeline."""
        rest = list(code)
        value = self.pipeline(rest, dot, names)
        if rest:
            raise ChartError(f"can't read {' '.join(rest)!r} in {{{{{' '.join(code)}}}}}")
        return value

    def pipeline(self, rest, dot, names):
        value = self.command(rest, dot, names, [])
        while rest and rest[0] == "|":
            rest.pop(0)
            value = self.command(rest, dot, names, [value])
        return value

    def command(self, rest, dot, names, piped):
        """A function with its arguments, of which the one from the pipe is the last; or a value."""
        if rest and rest[0] in self.functions:
            function = self.functions[rest.pop(0)]
            arguments = []
            while rest and rest[0] not in ("|", ")"):
                arguments.append(self.operand(rest, dot, names))
            return function(*arguments, *piped)
        value = self.operand(rest, dot, names)
        if piped:
            raise ChartError("something is piped into what is no function")
        return value

    def operand(self, rest, dot, names):
        if not rest:
            raise ChartError("an action breaks off")
        word = rest.pop(0)
        if word == "(":
            value = self.pipeline(rest, dot, names)
            if not rest or rest.pop(0) != ")":
                raise ChartError("a parenthesis is not closed")
            return value
        if word[0] in '"-0123456789':
            return json.loads(word)
        if word == ".":
            return dot
        first, *path = word.split(".")
        if first and first not in names:
            raise ChartError(f"{word!r} is unknown here")
        value = names[first] if first else dot
        for name in path:
            if not isinstance(value, dict):
                raise ChartError(f"{word!r}: there is nothing that could have a {name!r}")
            value = value.get(name)
        return value


def indent(count, text):
    return "\n".join(" " * count + line for line in text.split("\n"))


def shown(value):
    """A value as Go prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int)):
        return str(value)
    raise ChartError(f"a {type(value).__name__} can't be printed")


def required(message, value):
    if value in (None, ""):
        raise ChartError(message)
    return value


def merged(base, over):
    """Values over values: maps are merged, `null` takes a value away, all else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = base | {name: merged(base.get(name), value) for name, value in over.items()}
        return {name: value for name, value in both.items() if value is not None}
    return over


def render(chart, values=None, release="release", namespace="default"):
    """The text that each template gives, by its file's name."""
    chart = pathlib.Path(chart)
    facts = yaml.safe_load((chart / "Chart.yaml").read_text())
    values = merged(yaml.safe_load((chart / "values.yaml").read_text()), values or {})
    try:
        jsonschema.validate(values, json.loads((chart / "values.schema.json").read_text()))
    except jsonschema.ValidationError as error:
        raise ChartError(f"values: {error.json_path}: {error.message}") from error
    dot = {
        "Values": values,
        "Release": {"Name": release, "Namespace": namespace, "Service": "Helm"},
        "Chart": {name[0].upper() + name[1:]: value for name, value in facts.items()},
    }
    defined, files = {}, {}
    for path in sorted((chart / "templates").iterdir()):
        files[path.name], _ = parse(pieces(path.read_text()), defined)
    template = Template(defined)
    return {name: template.render(nodes, dot, {"$": dot}) for name, nodes in files.items() if not name.startswith("_")}


def objects(chart, values=None, **more):
    """The objects that the chart makes, by kind."""
    texts = {name: text for name, text in render(chart, values, **more).items() if name.endswith(".yaml")}
    found = [one for text in texts.values() for one in yaml.safe_load_all(text) if one is not None]
    return {one["kind"]: one for one in found}


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    values = {}
    for path in sys.argv[2:]:
        values = merged(values, yaml.safe_load(pathlib.Path(path).read_text()))
    try:
        for name, text in render(sys.argv[1], values).items():
            print(f"---\n# {name}\n{text}")
    except ChartError as error:
        sys.exit(f"chart.py: {error}")


if __name__ == "__main__":
    main()
