"""Master addresses and ports that give way to the launcher's: DDP103 and DDP107.

A store becomes a default (``setdefault``); a literal elsewhere becomes the default of a read
(``os.environ.get("MASTER_ADDR", "localhost")``). Where no launcher has set the variable nothing changes.
"""

from __future__ import annotations

import re

import libcst as cst

from ddplint.findings import Applicability, Fix
from ddplint.program import hosts
from ddplint.program.events import Event
from ddplint.program.hosts import Written
from ddplint.program.program import Program
from ddplint.program.state import Path
from ddplint.program.values import Const, EnvVar, Input, Op, Origin, Value, walk
from ddplint.repairs.declarations import around, declaration
from ddplint.repairs.draft import Draft, NoPlaceError

_URL = re.compile(r"tcp://(?P<host>\[[^\]{}%]*\]|[^:/?\[\]{}%]+):(?P<port>\d+)")
_PLAIN = re.compile(r"""(['"])[^'"\\\n]*\1""")


# -- stores -----------------------------------------------------------------------------------------------------


def stored(program: Program, event: Event, literal: Written) -> Fix | None:
    """``os.environ["MASTER_ADDR"] = "localhost"`` as a default; None where it is not known to be the only one."""
    draft = Draft(program)
    try:
        if literal.option is not None:
            _option_default(draft, literal, event.name)
        elif _other_stores(program, event):
            return None
        elif not _set_default(draft, event):
            _literal_default(draft, event, literal)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, f"Keep the {event.name} that the launcher set")


def _other_stores(program: Program, event: Event) -> bool:
    """Whether the same process may store something else in the variable: a default would keep the first of them."""
    value = event.arguments["value"].value
    for other in program.events("store"):
        if other.name != event.name or other.arguments["value"].value.id == value.id:
            continue
        shared = min(len(other.context), len(event.context))
        if other.context[:shared] == event.context[:shared] and not _exclusive(other.path, event.path):
            return True
    return False


def _exclusive(one: Path | None, two: Path | None) -> bool:
    """Whether two paths take different branches somewhere."""
    known = {condition.id: truth for condition, truth in (one.items() if one else ())}
    return any(known.get(condition.id, truth) is not truth for condition, truth in (two.items() if two else ()))


def _set_default(draft: Draft, event: Event) -> bool:
    """Turn ``environ[name] = value`` into ``environ.setdefault(name, value)``, if it is written like that."""
    target = event.node
    if not (isinstance(target, cst.Subscript) and isinstance(target.value, (cst.Name, cst.Attribute))):
        return False
    outer = around(Origin(event.module, target))
    if len(outer) < 2 or not isinstance(outer[0], cst.AssignTarget):
        return False
    statement = outer[1]
    if not (isinstance(statement, cst.Assign) and len(statement.targets) == 1):
        raise NoPlaceError("one value for several targets")
    index = target.slice[0].slice
    if not (isinstance(index, cst.Index) and _says(index.value, event.name)):
        return False  # a name in a variable: the statement stores other things as well
    if any(isinstance(part, Input) for part in walk(event.arguments["value"].value)):
        raise NoPlaceError("what somebody types comes before the environment")
    text = draft.text(Origin(event.module, statement))
    rest = text[len(draft.text(Origin(event.module, target))) :]
    equal = re.match(r"\s*=\s*", rest)
    assert equal is not None
    environ = draft.text(Origin(event.module, target.value))
    key = draft.text(Origin(event.module, index.value))
    draft.replace_text(Origin(event.module, statement), f"{environ}.setdefault({key}, {rest[equal.end() :]})")
    return True


def _says(node: cst.CSTNode, name: str) -> bool:
    return isinstance(node, cst.SimpleString) and node.evaluated_value == name


def _literal_default(draft: Draft, event: Event, literal: Written) -> None:
    """Turn what is stored into the default of a read, where it stands under the variable's name."""
    if any(isinstance(part, Input) for part in walk(event.arguments["value"].value)):
        raise NoPlaceError("what somebody types comes before the environment")
    for place in (Origin(event.module, event.arguments["value"].node), literal.origin):
        if _under_its_name(place, event.name):
            _read(draft, place, event.name)
            return
    raise NoPlaceError("a literal that may mean other things as well")


def _under_its_name(place: Origin, variable: str) -> bool:
    """``update(MASTER_ADDR=...)``, ``export("MASTER_ADDR", ...)``, ``{"MASTER_ADDR": ...}``, ``master_addr = ...``."""
    outer = around(place)
    holder = outer[0] if outer else None
    if isinstance(holder, cst.Arg) and len(outer) > 1 and isinstance(outer[1], cst.Call):
        if holder.keyword is not None:
            return holder.keyword.value.upper() == variable
        return any(_says(arg.value, variable) for arg in outer[1].args if arg is not holder)
    if isinstance(holder, cst.DictElement) and holder.value is place.node and isinstance(holder.key, cst.SimpleString):
        return str(holder.key.evaluated_value).upper() == variable
    if isinstance(holder, cst.AnnAssign) and isinstance(holder.target, cst.Name):
        return holder.target.value.upper() == variable
    return False


# -- options ----------------------------------------------------------------------------------------------------


def _option_default(draft: Draft, literal: Written, variable: str) -> None:
    """Read an option's default from the environment; what is typed still comes first."""
    option = literal.option
    assert option is not None
    declared = declaration(option)
    default = option.spec.default if option.spec is not None else None
    if declared is None or declared.default is None or not isinstance(default, Const):
        raise NoPlaceError("no default of its own")
    if default.origin is not None and default.origin.node is not literal.origin.node:
        raise NoPlaceError("a literal that the option only chooses")
    _read(draft, Origin(declared.module, declared.default), variable)


def _read(draft: Draft, origin: Origin, variable: str) -> None:
    """``os.environ.get("MASTER_ADDR", <what was there>)``."""
    environ = draft.name(origin, "os.environ")
    old = draft.text(origin)
    quote = old[0] if old[0] in "'\"" else draft.layout(origin.module).quote
    read = f"{environ}.get({quote}{variable}{quote}, {old})"
    draft.replace_text(origin, f"int({read})" if isinstance(origin.node, cst.Integer) else read)


# -- URLs -------------------------------------------------------------------------------------------------------


def in_url(program: Program, value: Value, origin: Origin, path: Path | None) -> Fix | None:
    """The URL of ``init_method`` with the launcher's address and port in it: one fix for both."""
    if any(event.name in ("MASTER_ADDR", "MASTER_PORT") for event in program.events("store")):
        return None  # the script sets the variables to something of its own, which the URL would then follow
    draft = Draft(program)
    found = hosts.url_parts(value, origin, path)
    if not all(hosts.is_port(port.text) for port in found[1]):
        return None
    seen: set[int] = set()
    try:
        for literals, variable in zip(found, ("MASTER_ADDR", "MASTER_PORT"), strict=True):
            for literal in literals:
                if id(literal.origin.node) not in seen:
                    seen.add(id(literal.origin.node))
                    _in_url(draft, value, literal, variable)
    except NoPlaceError:
        return None
    return draft.fix(Applicability.SAFE, "Take the address and the port that the launcher set")


def _in_url(draft: Draft, url: Value, literal: Written, variable: str) -> None:
    node = literal.origin.node
    if literal.option is not None and not _is_default(literal):
        if variable == "MASTER_PORT":
            return  # the port is somebody's to type
        _option_default(draft, literal, variable)
    elif isinstance(node, cst.Integer) or _says(node, literal.text):
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
    if not (outer and isinstance(outer[0], (cst.Assign, cst.AnnAssign, cst.Param))):
        raise NoPlaceError("a literal that may mean other things as well")
    if variable == "MASTER_ADDR":
        _steady(url)
    _read(draft, literal.origin, variable)


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
