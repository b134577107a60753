"""Master addresses and ports that give way to the launcher's: DDP103 and DDP107 in options and ``tcp://`` URLs.

A literal becomes the default of a read: ``os.environ.get("MASTER_ADDR", "localhost")``. Where no launcher has set the
variable nothing changes.
"""

from __future__ import annotations

import re

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import hosts
from ddplint.program.hosts import Written
from ddplint.program.program import Program
from ddplint.program.state import Path
from ddplint.program.values import Const, EnvVar, Input, Op, Origin, Value, walk
from ddplint.repairs.declarations import around, declaration
from ddplint.repairs.draft import Draft, NoPlaceError

_URL = re.compile(r"tcp://(?P<host>\[[^\]{}%]*\]|[^:/?\[\]{}%]+):(?P<port>\d+)")
_PLAIN = re.compile(r"""(['"])[^'"\\\n]*\1""")


def in_url(program: Program, value: Value, origin: Origin, path: Path | None) -> Fix | None:
    """The URL of ``init_method`` with the launcher's address and port in it: one fix for both."""
    if any(event.name in ("MASTER_ADDR", "MASTER_PORT") for event in program.events("store")):
        return None  # the script sets the variables to something of its own, which the URL would then follow
    draft = Draft(program)
    found = hosts.url_parts(value, origin, path)
    if not all(hosts.is_port(port.text) for port in found[1]):
        return None
    seen: set[tuple[int, bool]] = set()
    try:
        for literals, variable in zip(found, ("MASTER_ADDR", "MASTER_PORT"), strict=True):
            for literal in literals:
                node = literal.origin.node
                # most forms of a URL are rewritten as a whole
                key = id(node), variable == "MASTER_PORT" and _argument(node, variable) is not None
                if key not in seen:
                    seen.add(key)
                    _in_url(draft, value, literal, variable)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Take the address and the port that the launcher set")


def _in_url(draft: Draft, url: Value, literal: Written, variable: str) -> None:
    node = literal.origin.node
    part = _argument(node, variable)
    if part is not None:
        read_first(draft, Origin(literal.origin.module, part), variable)
    elif literal.option is not None and not _is_default(literal):
        # both or none: under torchrun nobody listens at a port other than MASTER_PORT (torch 2.13,
        # torch/distributed/rendezvous.py, _create_c10d_store: with the agent's store rank 0 is a client as well)
        option_default(draft, literal, variable)
    elif isinstance(node, cst.Integer) or says(node, literal.text):
        _part(draft, url, literal, variable)
    elif isinstance(node, cst.SimpleString):
        _whole(draft, literal.origin)
    elif isinstance(node, cst.FormattedString):
        _formatted(draft, url, literal.origin)
    elif isinstance(node, cst.BinaryOperation):
        _joined(draft, url, literal.origin)
    elif isinstance(node, cst.Call):
        _format_call(draft, url, literal.origin)
    else:
        raise NoPlaceError("a URL that is made in a way of its own")


_TEMPLATES = ("tcp://{}:{}", "tcp://%s:%s", "tcp://%s:%d")


def _argument(node: cst.CSTNode, variable: str) -> cst.BaseExpression | None:
    """The host or the port in ``"tcp://{}:{}".format(HOST, 23456)``, or the same with ``%``; None in any other URL."""
    template, given = None, []
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "format":
        template = node.func.value
        given = [arg.value for arg in node.args if arg.keyword is None and not arg.star]
    elif isinstance(node, cst.BinaryOperation) and isinstance(node.right, cst.Tuple):
        template, given = node.left, [element.value for element in node.right.elements]
    if not (isinstance(template, cst.SimpleString) and template.evaluated_value in _TEMPLATES and len(given) == 2):
        return None
    part = given[variable == "MASTER_PORT"]
    # %d takes no string, and int() stands around the read of a number only
    takes_text = variable == "MASTER_ADDR" or not str(template.evaluated_value).endswith("%d")
    return part if takes_text or isinstance(part, cst.Integer) else None


def _is_default(literal: Written) -> bool:
    """Whether a literal is the whole URL that an option has as its default."""
    spec = literal.option.spec if literal.option is not None else None
    default = spec.default if spec is not None else None
    if default is None or default.origin is None or default.origin.node is not literal.origin.node:
        return False
    return isinstance(default, Op) or (isinstance(default, Const) and str(default.value).startswith("tcp://"))


def _part(draft: Draft, url: Value, literal: Written, variable: str) -> None:
    """A host or port that is put into the URL by its name."""
    outer = around(literal.origin)
    made = url.origin.node if url.origin is not None else None
    # as an argument of the very expression that makes the URL it can only be that part of it
    in_place = any(node is made for node in outer)
    if not in_place and not (outer and isinstance(outer[0], (cst.Assign, cst.AnnAssign, cst.Param))):
        raise NoPlaceError("a literal that may mean other things as well")
    if variable == "MASTER_ADDR":
        _steady(url)
    read_first(draft, literal.origin, variable)


def _steady(url: Value) -> None:
    """Only a port that is the same on every node helps when the address is."""
    for part in walk(url):
        if not isinstance(part, (Const, Input, EnvVar, Op)) and part is not url:
            raise NoPlaceError("a part that nobody knows")


def _whole(draft: Draft, origin: Origin) -> None:
    text = draft.text(origin)
    found = _URL.fullmatch(text[1:-1])
    if not _PLAIN.fullmatch(text) or found is None:
        raise NoPlaceError("no plain URL with a port")
    environ = draft.name(origin, "os.environ")
    quote = text[0]
    draft.replace_text(
        origin,
        f"f{quote}tcp://{_field(environ, 'MASTER_ADDR', found['host'], quote)}"
        f":{_field(environ, 'MASTER_PORT', found['port'], quote)}{quote}",
    )


def _field(environ: str, variable: str, default: str, outer: str) -> str:
    """A replacement field; before Python 3.12 it cannot have the quotes of the string around it."""
    quote = "'" if outer == '"' else '"'
    return f"{{{environ}.get({quote}{variable}{quote}, {quote}{default}{quote})}}"


def _formatted(draft: Draft, url: Value, origin: Origin) -> None:
    """``f"tcp://localhost:{port}"`` and ``f"tcp://{host}:23456"``."""
    node = origin.node
    assert isinstance(node, cst.FormattedString)
    first, last = node.parts[0], node.parts[-1]
    quote = node.start[-1]
    if len(node.start.lower().replace("f", "").replace("r", "")) != 1:
        raise NoPlaceError("a string over several lines")
    environ = draft.name(origin, "os.environ")
    if isinstance(first, cst.FormattedStringText) and (host := re.fullmatch(r"tcp://([^:{}/]+):", first.value)):
        _steady(url)
        text = f"tcp://{_field(environ, 'MASTER_ADDR', host[1], quote)}:"
        draft.replace_text(Origin(origin.module, first), text)
    elif not (isinstance(first, cst.FormattedStringText) and first.value == "tcp://"):
        raise NoPlaceError("a host in pieces")
    elif isinstance(url, Const) or _literal(url, 0) != "tcp://":
        _steady(url)
        _named(draft, origin, environ, "MASTER_ADDR", node.parts[1])
    if isinstance(last, cst.FormattedStringText):
        port = re.fullmatch(r":(\d+)", last.value)
        if port is None:
            raise NoPlaceError("more than a port behind the host")
        draft.replace_text(Origin(origin.module, last), f":{_field(environ, 'MASTER_PORT', port[1], quote)}")
    elif isinstance(url, Const) or _literal(url, -1) is not None:
        _named(draft, origin, environ, "MASTER_PORT", last)


def _literal(url: Value, at: int) -> object:
    """The literal that a composed URL begins (0) or ends (-1) with; None for anything else."""
    part = url.args[at] if isinstance(url, Op) else url
    return part.value if isinstance(part, Const) else None


def _named(draft: Draft, origin: Origin, environ: str, variable: str, part: cst.CSTNode) -> None:
    """A literal that the f-string has from a variable stays the default: ``{host}``."""
    node = origin.node
    assert isinstance(node, cst.FormattedString)
    if not (isinstance(part, cst.FormattedStringExpression) and isinstance(part.expression, (cst.Name, cst.Attribute))):
        raise NoPlaceError("a URL in pieces")
    quote = "'" if node.start[-1] == '"' else '"'
    expression = Origin(origin.module, part.expression)
    draft.replace_text(expression, f"{environ}.get({quote}{variable}{quote}, {draft.text(expression)})")


def _joined(draft: Draft, url: Value, origin: Origin) -> None:
    """``"tcp://localhost:" + port`` and ``"tcp://localhost:%s" % port``."""
    _steady(url)
    node = origin.node
    assert isinstance(node, cst.BinaryOperation)
    if isinstance(node.operator, cst.Modulo):
        _percent(draft, Origin(origin.module, node.left), Origin(origin.module, node.right))
        return
    first: cst.BaseExpression = node
    while isinstance(first, cst.BinaryOperation) and isinstance(first.operator, cst.Add):
        first = first.left
    start = Origin(origin.module, first)
    text = draft.text(start)
    found = re.fullmatch(r"tcp://([^:{}/%]+):", text[1:-1])
    if not _PLAIN.fullmatch(text) or found is None:
        raise NoPlaceError("a host in pieces")
    environ = draft.name(start, "os.environ")
    quote = text[0]
    draft.replace_text(start, f"f{quote}tcp://{_field(environ, 'MASTER_ADDR', found[1], quote)}:{quote}")


def _percent(draft: Draft, pattern: Origin, argument: Origin) -> None:
    if isinstance(argument.node, (cst.Tuple, cst.Dict)) or bool(getattr(argument.node, "lpar", ())):
        raise NoPlaceError("several arguments")
    host = _template(draft, pattern, r"%[sd]", "%s")
    environ = draft.name(pattern, "os.environ")
    quote = draft.text(pattern)[0]
    read = f"{environ}.get({quote}MASTER_ADDR{quote}, {quote}{host}{quote})"
    draft.replace_text(argument, f"({read}, {draft.text(argument)})")


def _format_call(draft: Draft, url: Value, origin: Origin) -> None:
    """``"tcp://localhost:{}".format(port)``."""
    _steady(url)
    call = origin.node
    assert isinstance(call, cst.Call)
    func = call.func
    if not (isinstance(func, cst.Attribute) and func.attr.value == "format" and len(call.args) == 1):
        raise NoPlaceError("not the format of a string")
    only = call.args[0]
    if only.keyword is not None or only.star:
        raise NoPlaceError("arguments with names")
    pattern = Origin(origin.module, func.value)
    host = _template(draft, pattern, r"\{\}", "{}")
    environ = draft.name(pattern, "os.environ")
    quote = draft.text(pattern)[0]
    read = f"{environ}.get({quote}MASTER_ADDR{quote}, {quote}{host}{quote})"
    argument = Origin(origin.module, only.value)
    draft.replace_text(argument, f"{read}, {draft.text(argument)}")


def _template(draft: Draft, pattern: Origin, hole: str, new: str) -> str:
    """Make the literal host of a pattern a hole of its own, and return the host."""
    text = draft.text(pattern)
    found = re.fullmatch(rf"tcp://([^:{{}}/%]+)(:{hole})", text[1:-1])
    if not _PLAIN.fullmatch(text) or found is None:
        raise NoPlaceError("no plain pattern")
    draft.replace_text(pattern, f"{text[0]}tcp://{new}{found[2]}{text[0]}")
    return found[1]


def option_default(draft: Draft, literal: Written, variable: str) -> None:
    """Read an option's default from the environment; what is typed still comes first."""
    option = literal.option
    assert option is not None
    declared = declaration(option)
    default = option.spec.default if option.spec is not None else None
    if declared is None or declared.default is None or not isinstance(default, Const):
        raise NoPlaceError("no default of its own")
    if default.origin is not None and default.origin.node is not literal.origin.node:
        raise NoPlaceError("a literal that the option only chooses")
    read_first(draft, Origin(declared.module, declared.default), variable)


def read_first(draft: Draft, origin: Origin, variable: str) -> None:
    """``os.environ.get("MASTER_ADDR", <what was there>)``."""
    environ = draft.name(origin, "os.environ")
    old = draft.text(origin)
    quote = old[0] if old[0] in "'\"" else draft.layout(origin.module).quote
    read = f"{environ}.get({quote}{variable}{quote}, {old})"
    draft.replace_text(origin, f"int({read})" if isinstance(origin.node, cst.Integer) else read)


def says(node: cst.CSTNode, name: str) -> bool:
    """Whether a node is the literal ``name``."""
    return isinstance(node, cst.SimpleString) and node.evaluated_value == name
