"""Command-line options and configuration fields: numbers that a person types.

argparse and its relatives share one picture: a *parser* object whose fields are options, and a *namespace* that reads
them. click, typer, absl and fire bind options to the parameters of a function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ddplint.program import arithmetic, binding, objects
from ddplint.program.events import Arguments
from ddplint.program.values import (
    Class,
    Const,
    External,
    Input,
    Items,
    Method,
    Object,
    OptionSpec,
    Origin,
    Unknown,
    Value,
    choose,
)

if TYPE_CHECKING:
    from ddplint.program.module import ClassFacts, FunctionFacts
    from ddplint.program.run import Run

PARSERS = frozenset(
    {
        "argparse.ArgumentParser",
        "configargparse.ArgumentParser",
        "configargparse.ArgParser",
        "jsonargparse.ArgumentParser",
        "simple_parsing.ArgumentParser",
        "transformers.HfArgumentParser",
        "transformers.hf_argparser.HfArgumentParser",
        "tap.Tap",
        "optparse.OptionParser",
    }
)

# One call that turns a class or function into a command line and fills it.
FILLERS = frozenset(
    {
        "tyro.cli",
        "simple_parsing.parse",
        "chz.entrypoint",
        "draccus.parse",
        "pyrallis.parse",
        "jsonargparse.CLI",
        "fire.Fire",
        "typer.run",
        "absl.app.run",
    }
)

_TYPES = {"int": "int", "str": "str", "float": "float", "bool": "bool"}
_ABSL = {
    "DEFINE_integer": "int",
    "DEFINE_string": "str",
    "DEFINE_float": "float",
    "DEFINE_bool": "bool",
    "DEFINE_boolean": "bool",
    "DEFINE_enum": "str",
}


def _type_of_default(default: Value | None) -> str | None:
    if default is None or default.type in ("none", "object", "sequence", "function"):
        return None
    return default.type


def _or_variable(run: Run, arguments: Arguments, default: Value | None, node: cst.CSTNode) -> Value | None:
    """The default, or the environment variable that comes before it (``envvar=`` of click and typer)."""
    name = arguments.value("envvar") or arguments.value("env_var")
    if not (isinstance(name, Const) and isinstance(name.value, str)):
        return default
    origin = Origin(run.module, node)
    has = run.has_variable(run.environ, name.value, origin)
    value = run.read_variable(run.environ, name.value, origin, required=False)
    number = arithmetic.integer(value, origin) if default is not None and default.type == "int" else value
    return choose(has, number, default or Const(None), origin)


def add_argument(run: Run, parser: Object, arguments: Arguments, node: cst.CSTNode) -> None:
    """``parser.add_argument("--world-size", type=int, default=1)``: one more field of the parser."""
    flags: list[str] = []
    for argument in arguments.positional:
        if isinstance(argument.value, Const) and isinstance(argument.value.value, str):
            flags.append(argument.value.value)
    dest = arguments.value("dest")
    if isinstance(dest, Const) and isinstance(dest.value, str):
        name = dest.value
    else:
        long = next((flag for flag in flags if flag.startswith("--")), flags[0] if flags else "")
        name = long.lstrip("-").replace("-", "_")
    if not name:
        return
    action = arguments.value("action")
    action_name = action.value if isinstance(action, Const) else None
    default = _or_variable(run, arguments, arguments.value("default"), node)
    kind = arguments.value("type")
    declared: str | None = None
    if isinstance(kind, External):
        declared = _TYPES.get(kind.name)
    if action_name in ("store_true", "store_false"):
        declared = "bool"
        default = default or Const(action_name == "store_false", Origin(run.module, node))
    required = arguments.value("required")
    positional = bool(flags) and not flags[0].startswith("-")
    spec = OptionSpec(
        dest=name,
        flags=tuple(flags),
        default=default,
        type=declared or (None if kind is not None else _type_of_default(default) or "str"),
        typed=kind is not None or declared is not None,
        required=positional or (isinstance(required, Const) and required.value is True),
        parser="argparse",
        origin=Origin(run.module, node),
    )
    option = Input(name, spec, spec.origin)
    run.options.append(option)
    run.state.write(parser.fields, name, option)


def add_dataclass(run: Run, parser: Object, cls: ClassFacts, dest: str | None) -> None:
    """``parser.add_arguments(Options, dest="options")``: every field of the class is an option."""
    filled = filled_instance(run, cls, None)
    if dest is not None:
        run.state.write(parser.fields, dest, filled)
    else:
        for key, value in filled.fields.items():
            run.state.write(parser.fields, key, value)


def filled_instance(run: Run, cls: ClassFacts, origin: Origin | None) -> Object:
    """An instance of a configuration class as a command line fills it: each field its default or what is typed."""
    instance = Object("instance", origin, cls=cls)
    for name, node, default in objects.declared_fields(run, cls):
        kind = node.annotation.annotation
        declared = _TYPES.get(kind.value) if isinstance(kind, cst.Name) else None
        spec = OptionSpec(
            name,
            (f"--{name}",),
            default,
            declared or _type_of_default(default),
            declared is not None,
            default is None,
            "dataclass",
            Origin(cls.module, node),
        )
        option = Input(name, spec, spec.origin)
        run.options.append(option)
        run.state.write(instance.fields, name, option)
    return instance


def parser_method(run: Run, parser: Object, name: str, arguments: Arguments, node: cst.CSTNode) -> Value | None:
    """Calls on a parser; None for one that changes nothing here."""
    origin = Origin(run.module, node)
    if name in ("add_argument", "add_option", "add_arg", "add"):
        add_argument(run, parser, arguments, node)
        return Unknown("an argparse action", origin)
    if name in ("add_argument_group", "add_mutually_exclusive_group", "add_option_group"):
        return parser
    if name in ("parse_args", "parse_args_and_config"):
        return Object("namespace", origin, parser=parser)
    if name in ("parse_known_args", "parse_known_intermixed_args"):
        run.lenient.update(value.id for value in parser.fields.values())
        return Items((Object("namespace", origin, parser=parser), Unknown("the remaining arguments", origin)), origin)
    if name == "set_defaults":
        for key, argument in arguments.keyword.items():
            old = parser.fields.get(key)
            if isinstance(old, Input) and old.spec is not None:
                spec = old.spec
                changed = OptionSpec(
                    spec.dest, spec.flags, argument.value, spec.type, spec.typed, False, spec.parser, spec.origin
                )
                run.state.write(parser.fields, key, Input(spec.dest, changed, spec.origin))
            else:
                run.state.write(parser.fields, key, argument.value)
        return Const(None)
    if name == "add_arguments":
        cls = arguments.value("dataclass", 0)
        dest = arguments.value("dest", 1)
        if isinstance(cls, Class):
            add_dataclass(run, parser, cls.facts, str(dest.value) if isinstance(dest, Const) else None)
        return Const(None)
    if name in ("parse_args_into_dataclasses", "parse_json_file", "parse_yaml_file", "parse_dict"):
        classes = parser.fields.get("dataclass types")
        if isinstance(classes, Items):
            made = tuple(
                filled_instance(run, cls.facts, origin) if isinstance(cls, Class) else Unknown("arguments", origin)
                for cls in classes.values
            )
            return Items(made, origin)
        return Unknown("arguments of unknown classes", origin)
    return None


def new_parser(run: Run, arguments: Arguments, node: cst.CSTNode) -> Object:
    """``ArgumentParser(parents=[...])`` or ``HfArgumentParser((A, B))``."""
    parser = Object("parser", Origin(run.module, node))
    parents = arguments.value("parents")
    if isinstance(parents, Items):
        for parent in parents.values:
            if isinstance(parent, Object) and parent.kind == "parser":
                for key, value in parent.fields.items():
                    run.state.write(parser.fields, key, value)
    classes = arguments.value("dataclass_types", 0)
    if isinstance(classes, Class):
        classes = Items((classes,), classes.origin)
    if isinstance(classes, Items) and any(isinstance(cls, Class) for cls in classes.values):
        run.state.write(parser.fields, "dataclass types", classes)
    return parser


def absl_flag(run: Run, name: str, arguments: Arguments, node: cst.CSTNode) -> Value:
    """``flags.DEFINE_integer("rank", 0, "...")``: a field of the module-wide FLAGS."""
    flag = arguments.value("name", 0)
    if not (isinstance(flag, Const) and isinstance(flag.value, str)):
        return Unknown("a flag", Origin(run.module, node))
    default = arguments.value("default", 1)
    spec = OptionSpec(
        flag.value,
        (f"--{flag.value}",),
        default,
        _ABSL[name.rpartition(".")[2]],
        True,
        False,
        "absl",
        Origin(run.module, node),
    )
    option = Input(flag.value, spec, spec.origin)
    run.options.append(option)
    run.state.write(run.flags.fields, flag.value, option)
    return option


def is_absl_definition(name: str) -> bool:
    """Whether a function of ``absl.flags`` (or TensorFlow's old copy) defines a flag."""
    return name.rpartition(".")[2] in _ABSL and "flags" in name


def decorator_inputs(run: Run, facts: FunctionFacts) -> dict[str, Value]:
    """What click, typer or Hydra bind to the parameters of a decorated function when it is called as a command."""
    bound: dict[str, Value] = {}
    for decorator in facts.node.decorators:
        expression = decorator.decorator
        call = expression if isinstance(expression, cst.Call) else None
        callee = run.evaluate(call.func if call else expression)
        name = callee.name if isinstance(callee, (External, Method)) else ""
        short = name.rpartition(".")[2]
        if short in ("option", "argument") and call is not None:
            option = _click_option(run, call)
            if option is not None:
                bound[option.name] = option
        elif name in ("hydra.main", "hydra.experimental.main") or short == "hydra_runner":
            bound.update(_config_parameter(run, facts))
        elif short == "command" and isinstance(callee, Method):  # @app.command() of typer; click's own is External
            bound.update(parameter_inputs(run, facts, "typer"))
    return bound


def _config_parameter(run: Run, facts: FunctionFacts) -> dict[str, Value]:
    parameters = facts.node.params.params
    if not parameters:
        return {}
    name = parameters[0].name.value
    return {name: Object("config", Origin(facts.module, parameters[0]))}


def _click_option(run: Run, call: cst.Call) -> Input | None:
    arguments = binding.evaluate_arguments(run, call)
    parser = Object("parser", Origin(run.module, call))
    # click and argparse agree on flags, type and default; click's is_flag is argparse's store_true
    if isinstance(flag := arguments.value("is_flag"), Const) and flag.value:
        keyword = {**arguments.keyword}
        keyword.pop("type", None)
        arguments = Arguments(arguments.positional, {**keyword}, arguments.open)
    add_argument(run, parser, arguments, call)
    return next((value for value in parser.fields.values() if isinstance(value, Input)), None)


def parameter_inputs(run: Run, facts: FunctionFacts, parser: str) -> dict[str, Value]:
    """``def main(nodes: int = typer.Option(1))``: every parameter is an option."""
    bound: dict[str, Value] = {}
    params = facts.node.params
    for param in (*params.params, *params.kwonly_params):
        default: Value | None = None
        if param.default is not None:
            default = run.evaluate(param.default)
            if isinstance(default, Unknown) and isinstance(param.default, cst.Call):
                given = binding.evaluate_arguments(run, param.default)  # typer.Option(1, "--nodes", envvar="NNODES")
                default = _or_variable(run, given, given.value("default", 0), param.default)
        annotation = param.annotation.annotation if param.annotation else None
        declared = _TYPES.get(annotation.value) if isinstance(annotation, cst.Name) else None
        name = param.name.value
        spec = OptionSpec(
            name,
            (f"--{name.replace('_', '-')}",),
            default,
            declared or _type_of_default(default),
            declared is not None,
            default is None,
            parser,
            Origin(facts.module, param),
        )
        option = Input(name, spec, spec.origin)
        run.options.append(option)
        bound[name] = option
    return bound
