#!/usr/bin/env python3
"""Writes tests/text/goldens/templates.json: what the chat-template environment of transformers makes of templates.

Made with transformers 5.23.0 and Jinja2 3.1.6. Run from the project's root:

    python3 tools/make_template_goldens.py

`snippets` are short templates, each with the variables below and what it gives, or that it is refused. `chats` are
templates in the manner of well-known models, written for this file, on conversations; with the characters of
generation blocks where a template has them.
"""

import importlib.metadata
import json
import pathlib

from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import _compile_jinja_template, render_jinja_template
from tokenizers import Tokenizer, models

PINNED = {"transformers": "5.23.0", "jinja2": "3.1.6"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/text/goldens/templates.json"

VARIABLES = {
    "n": 7, "x": 2.5, "tiny": 1e-7, "large": 12345678901234567890, "minus": -0.0, "huge": 1e22, "yes": True, "no": False,
    "nothing": None, "s": "  Hello, World!\n", "word": "straße", "z": "北京 naïve Ω 🙂", "q": "it's \"q\" \\ \x07 \u2028",
    "l": [3, 1, 2], "names": ["b", "C", "a", "A"], "empty": [], "nested": [[1, 2], [3, 4]], "mixed": [1, "a", None, 2.5, True],
    "d": {"a": 1, "B": [1, 2], "c": {"k": "v"}, "items": "own", "é": None},
    "users": [{"name": "Ann", "age": 31, "on": True}, {"name": "bob", "age": 25}, {"name": "Cid", "age": 31, "on": False}],
    "html": "<b>\"x\" & 'y'</b>", "text": "one two  three\nfour five six seven",
}

SNIPPETS = r"""
plain text {{ n }} and {# no #}comment
{{ n }}{{ x }} {{ tiny }} {{ large }} {{ minus }} {{ huge }} {{ yes }} {{ no }} {{ nothing }} {{ missing }}
{{ s }}|{{ word }}|{{ z }}|{{ q }}
{{ l }} {{ d }} {{ mixed }} {{ [q] }} {{ [word, z, minus, tiny] }} {{ (1,) }} {{ (1, 2) }} {{ () }} {{ {} }}
{{ 1, 2 }} {{ (n, x) }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }}
{{ 2 ** 3 ** 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 0x1f }} {{ 0b11 }} {{ 0o17 }} {{ 1_000 }} {{ 1.5e-3 }} {{ 100000000000000000.0 }}
{{ 0.1 + 0.2 }} {{ 1 / 3 }} {{ 1e16 }} {{ 123456789012345.0 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 5 / 1 }}
{{ True + 1 }} {{ yes * 3 }} {{ -yes }} {{ +no }} {{ not yes }}
{{ "a" + "b" }} {{ "ab" * 3 }} {{ 2 * [1] }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ "a" ~ 1 ~ none ~ 2.0 }}
{{ "a" + 1 }}
{{ 1 + none }}
{{ missing + 1 }}
{{ missing ~ "x" }} {{ missing == missing }} {{ missing == none }} {{ missing|length }} {{ "x" in missing }}
{{ missing.attr }}
{{ missing["a"] }}
{{ missing() }}
{{ missing < 1 }}
{{ none.attr }} {{ none["a"] }} {{ n.foo }} {{ l.foo }} {{ l[9] }} {{ l["a"] }} {{ d.zz }} {{ d["zz"] }} {{ s[99] }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ "a" < "b" }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == [1, 2] }} {{ true == 1 }} {{ 1 != 2 }}
{{ "a" < 1 }}
{{ none < none }}
{{ 1 in l }} {{ 9 not in l }} {{ "a" in d }} {{ "ell" in s }} {{ 1 in (1,) }} {{ 2 in range(3) }} {{ "é" in d }} {{ not 1 in l }}
{{ 1 in "abc" }}
{{ 1 in 5 }}
{{ 1 in none }}
{{ n and x }} {{ no or "z" }} {{ none or 0 or "" or [] }} {{ 1 and 0 or 3 }} {{ not n == 7 }}
{{ "y" if yes else "n" }} {{ "y" if no }}| {{ "a" if no else "b" if no else "c" }}
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[:2] }} {{ l[-2:] }} {{ s[2:7] }} {{ z[0] }} {{ z[::-1] }} {{ z[-1] }} {{ z[1:4] }} {{ range(10)[2:8:3] }}
{{ l[5:] }} {{ l[2:1] }} {{ (1,2,3)[:2] }} {{ "abc"[::2] }} {{ "abcdef"[4:1:-1] }} {{ l[:-5:-1] }} {{ l[none:2] }}
{{ l["a":2] }}
{{ l[::0] }}
{{ d.a }} {{ d["B"][1] }} {{ d.c.k }}
{{ d["items"] }} {{ d.get("a") }} {{ d.get("q") }} {{ d.get("q", 5) }} {{ d.keys() }} {{ d.values() }} {{ d["é"] }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }},{% endfor %} {% for c in "añ🙂" %}[{{ c }}]{% endfor %}
{% for a, b in nested %}{{ a }}-{{ b }} {% endfor %}{% for (a, b) in nested %}{{ a + b }}{% endfor %}
{% for a, b, c in nested %}{% endfor %}
{% for i in 5 %}{% endfor %}
{% for i in none %}{% endfor %}
{% for i in missing %}x{% else %}none{% endfor %}
{% for i in l %}{{ loop.index }}/{{ loop.length }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.cycle("a", "b") }}{{ loop.changed(i > 1) }} {% endfor %}
{% for i in l if i > 1 %}{{ loop.index }}:{{ i }} {% endfor %}{% for i in l if i > 9 %}{% else %}no{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in l %}{% break %}{% else %}else{% endfor %}
{% for i in l %}{% continue %}{% else %}else{% endfor %}
{% for i in l recursive %}{{ i }}{% if i == 3 %}({{ loop([7, 8]) }}){% endif %}{% endfor %}
{% for i in nested recursive %}{{ loop.depth }}{% if i is iterable %}[{{ loop(i) }}]{% else %}{{ i }}{% endif %}{% endfor %}
{% for i in l %}{{ loop([1]) }}{% endfor %}
{% for i in l %}{% for j in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}
{% set a = 1 %}{% for i in l %}{% set a = a + i %}{{ a }}{% endfor %}{{ a }}
{% set ns = namespace(a=1, b="x") %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c }}|{{ ns["a"] }}
{% set ns = namespace(d) %}{{ ns.a }}{{ ns.B }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set a.b = 1 %}
{% set d.b = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c }}
{% set a %}  in {{ n }} block {% endset %}[{{ a }}]{% set b | upper | trim %}  up {% endset %}[{{ b }}]
{% if n > 5 %}big{% elif n > 3 %}mid{% else %}small{% endif %}{% if no %}{% elif none %}{% else %}E{% endif %}{% if l %}L{% endif %}{% if empty %}no{% endif %}
{% if no %}{% set v = 1 %}{% endif %}{{ v }}{{ v is defined }}{% if yes %}{% set v = 2 %}{% endif %}{{ v }}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=5) }} {{ m(b=3, a=4) }} {{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}
{% macro m(a) %}[{{ caller() }}{{ a }}]{% endmacro %}{% call m(1) %}in {{ n }}{% endcall %}
{% macro m() %}{% for i in l %}{{ caller(i, loop.index) }}{% endfor %}{% endmacro %}{% call(x, y) m() %}<{{ x }}{{ y }}>{% endcall %}
{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(4) }}
{% macro m() %}{{ late }}{% endmacro %}{% set late = 5 %}{{ m() }}
{% macro m() %}{% set n = 9 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}{{ m() | int + 1 }}
{{ m() }}{% macro m() %}{% endmacro %}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set n = 0 %}{{ n }}{% endwith %}{{ a }}{{ n }}
{% filter upper | replace("L", "_") %}hello {{ n }}{% endfilter %}
{% raw %}{{ not }} {% if %}{% endraw %} {%- raw -%}  x  {%- endraw %}
{% generation %}a{% set g = 1 %}{{ g }}{% endgeneration %}{{ g }}
{{ s|upper }}{{ s|lower }}{{ s|trim }}|{{ word|upper }}|{{ word|capitalize }}|{{ "hello wORLD-foo (bar)"|title }}|{{ z|title }}
{{ s|length }} {{ z|length }} {{ l|length }} {{ d|length }} {{ l|count }} {{ range(5)|length }}
{{ n|length }}
{{ none|length }}
{{ names|sort }} {{ names|sort(case_sensitive=true) }} {{ l|sort(reverse=true) }} {{ l|sort(true) }} {{ users|sort(attribute="age,name")|map(attribute="name")|list }} {{ "cab"|sort }}
{{ mixed|sort }}
{{ l|sum }} {{ users|sum(attribute="age") }} {{ [[1], [2]]|sum(start=[]) }} {{ l|min }} {{ l|max }} {{ names|max }} {{ users|min(attribute="age") }} {{ []|max }}|
{{ l|first }} {{ l|last }} {{ "abc"|first }} {{ "abc"|last }} {{ []|first }}| {{ d|first }} {{ d|last }} {{ range(4)|last }}
{{ l|join }} {{ l|join(", ") }} {{ users|join("/", attribute="name") }} {{ mixed|join("-") }} {{ "abc"|join(".") }} {{ d|join(",") }}
{{ none|join }}
{{ l|reverse|list }} {{ "abc"|reverse }} {{ l|list }} {{ "abc"|list }} {{ d|list }} {{ (1, 2)|list }}
{{ l|reverse|length }}
{{ users|map(attribute="name")|list }} {{ users|map(attribute="on", default="-")|list }} {{ names|map("upper")|list }} {{ names|map("replace", "b", "x")|join }} {{ users|map(attribute="on")|list|length }}
{{ names|map("nofilter")|list }}
{{ users|map(attribute="a", foo=1)|list }}
{{ l|select("odd")|list }} {{ l|reject("odd")|list }} {{ l|select(">", 1)|list }} {{ mixed|select|list }} {{ mixed|reject|list }} {{ l|select("in", [1, 2])|list }}
{{ users|selectattr("on")|map(attribute="name")|list }} {{ users|selectattr("age", "equalto", 31)|map(attribute="name")|list }} {{ users|rejectattr("on", "defined")|map(attribute="name")|list }} {{ users|selectattr("name", "in", ["bob"])|list }}
{{ none|select|list }} {{ none|map("upper")|list }} {{ ""|selectattr("a")|list }}
{{ users|selectattr("age", "nosuch")|list }}
{{ users|selectattr("on")|length }}
{{ (users|selectattr("on"))[0] }}x{% set g = l|select("odd") %}{{ g|list }}{{ g|list }}{% if g %}true{% endif %}{{ (l|select("odd"))|first }}
{% for a, g in users|groupby("age") %}{{ a }}:{% for u in g %}{{ u.name }} {% endfor %}{% endfor %}{% for g in users|groupby("age") %}{{ g.grouper }}{{ g.list|length }}{{ g[0] }}{% endfor %}
{{ d|dictsort }} {{ {"b": 1, "A": 3, "c": 2}|dictsort }} {{ {"b": 1, "A": 3, "c": 2}|dictsort(true) }} {{ {"b": 1, "A": 3, "c": 2}|dictsort(by="value") }} {{ {"b": 1, "A": 3}|dictsort(reverse=true) }}
{{ d|dictsort(by="value") }}
{{ {"b": 1}|dictsort(by="x") }}
{{ [1, 1.0, true, 2, "a", "A"]|unique|list }} {{ users|unique(attribute="age")|map(attribute="name")|list }} {{ ["a", "A"]|unique(true)|list }}
{{ range(7)|batch(3)|list }} {{ range(7)|batch(3, "-")|list }} {{ range(7)|slice(3)|list }} {{ range(7)|slice(3, "-")|list }}
{{ d|items|list }} {{ missing|items|list }}
{{ l|items|list }}
{{ missing|default("x") }} {{ none|default("x") }} {{ none|default("x", true) }} {{ ""|d("e", boolean=true) }} {{ 0|default(5) }}
{{ missing.a|default("no") }}
{{ missing|default }}|{{ d.zz|default("q") }}
{{ "a-b-a"|replace("a", "x") }} {{ "a-b-a"|replace("a", "x", 1) }} {{ 515|replace(5, 6) }} {{ "ab"|replace("", ".") }} {{ "aaa"|replace("aa", "b") }}
{{ "42"|int }} {{ "4.7"|int }} {{ "x"|int }} {{ "x"|int(-1) }} {{ "0x1f"|int(base=16) }} {{ "ff"|int(0, 16) }} {{ 3.9|int }} {{ -3.9|int }} {{ none|int }} {{ " 1_0 "|int }} {{ l|int(5) }} {{ "1e3"|int }}
{{ "4.5"|float }} {{ "x"|float }} {{ 3|float }} {{ "inf"|float }} {{ "nan"|float }} {{ none|float(1.5) }} {{ "1e400"|float }}
{{ missing|int }}
{{ missing|float }}
{{ -5|abs }} {{ -5.5|abs }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42|round }} {{ 42.55|round(1, "floor") }} {{ 42.51|round(1, "ceil") }} {{ 1234|round(-2) }} {{ 2.5|round|int }} {{ 42|round(0, "ceil") }}
{{ "x"|abs }}
{{ 1|round(0, "up") }}
{{ l|string }} {{ n|string + "x" }} {{ none|string }} {{ 1.0|string }}
{{ html|escape }} {{ html|e|e }} {{ html|forceescape }} {{ html|safe }} {{ ("<"|safe) + ">" }} {{ "<" + (">"|safe) }} {{ ("<%s>"|safe) % "<" }} {{ html|striptags }} {{ "a <!-- x --> <p>b\n\nc</p>"|striptags }}
{{ ("<"|e)|upper }} {{ ("a"|safe).replace("a", "b") ~ "<" }} {{ ("<"|e)|string is escaped }} {{ "<" is escaped }}
{{ text|indent }} {{ text|indent(2, true) }} {{ "a\n\nb"|indent(2) }} {{ "a\n\nb"|indent(2, blank=true) }} {{ "a\nb\n"|indent("> ") }}|{{ "a\r\nb"|indent(1) }}
{{ "foo bar baz qux"|truncate(9) }} {{ "foo bar baz qux"|truncate(9, true) }} {{ "foo bar baz qux"|truncate(11) }} {{ "foo bar baz qux"|truncate(11, false, "...", 0) }} {{ "abcdefghijkl"|truncate(5, leeway=0) }}
{{ "abc"|truncate(2) }}
{{ "x"|center(5) }}| {{ "xy"|center(5) }}| {{ "x"|center }}|
{{ text|wordcount }} {{ "a-b c_d é1"|wordcount }}
{{ "%s and %d, %5.2f|%-5s|%05d|%x|%r|%%"|format("a", 3.7, 2.345, "ab", 42, 255, "q") }} {{ "%(a)s" % d }} {{ "%s" % 5 }} {{ "%s %s" % (1, 2) }} {{ "%+d % d" % (3, 4) }} {{ "%.2s" % "abc" }} {{ "%c%c" % ("x", 65) }} {{ "%5s|%-5d|" % ("é", 3) }}
{{ "%d" % "x" }}
{{ "%s %s" % 1 }}
{{ "%s" % (1, 2) }}
{{ "%q" % 1 }}
{{ "a b/ü&"|urlencode }} {{ {"a b": 1, "c": "é&"}|urlencode }} {{ [["a", 1], ["b", 2]]|urlencode }}
{{ {"class": "x", "id": none, "t": "<\""}|xmlattr }}|{{ {"a": 1}|xmlattr(false) }}
{{ {"a b": 1}|xmlattr }}
{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 13000|filesizeformat }} {{ 4100000|filesizeformat }} {{ 4100000|filesizeformat(true) }} {{ "1500"|filesizeformat }}
{{ d|tojson }} {{ l|tojson }} {{ q|tojson }} {{ z|tojson }} {{ mixed|tojson }} {{ html|tojson }} {{ [1.0, 1e22, 1e-7, -0.0]|tojson }} {{ large|tojson }} {{ (1, 2)|tojson }} {{ {1: 2, none: 3, true: 4}|tojson }} {{ {}|tojson }}{{ []|tojson }}
{{ d|tojson(indent=2) }} {{ d|tojson(indent=0) }} {{ [[], {}]|tojson(indent=1) }} {{ z|tojson(ensure_ascii=true) }} {{ z|tojson(true) }} {{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(",", ":")) }} {{ d|tojson(indent="--", separators=[" , ", " : "]) }}
{{ missing|tojson }}
{{ d.items()|tojson }}
{{ l|map("string")|tojson }}
{{ namespace()|tojson }}
{{ n is defined }}{{ missing is defined }}{{ missing is undefined }}{{ none is none }}{{ 0 is none }}{{ d.zz is defined }}{{ d.a is not defined }}{{ none is not none }}
{{ n is number }}{{ x is number }}{{ yes is number }}{{ s is number }}{{ n is integer }}{{ yes is integer }}{{ x is float }}{{ yes is boolean }}{{ yes is true }}{{ no is false }}{{ 1 is true }}
{{ s is string }}{{ n is string }}{{ d is mapping }}{{ l is mapping }}{{ l is sequence }}{{ d is sequence }}{{ s is sequence }}{{ n is sequence }}{{ missing is sequence }}{{ d.keys() is sequence }}{{ (l|select) is sequence }}
{{ l is iterable }}{{ s is iterable }}{{ n is iterable }}{{ none is iterable }}{{ missing is iterable }}{{ range(2) is iterable }}{{ (l|select) is iterable }}{{ range is callable }}{{ n is callable }}
{{ 4 is even }}{{ 3 is odd }}{{ 6 is divisibleby 3 }}{{ 6 is divisibleby(4) }}{{ 3 is eq 3 }}{{ 3 is ne(3) }}{{ 3 is gt 2 }}{{ 3 is lt(2) }}{{ 3 is ge 3 }}{{ 3 is le 2 }}{{ 3 is equalto 3 }}{{ 3 is in [3] }}{{ "a" is sameas "b" }}{{ none is sameas none }}
{{ "ab" is lower }}{{ "AB" is upper }}{{ "Ab" is lower }}{{ "1" is lower }}{{ "upper" is filter }}{{ "nope" is filter }}{{ "odd" is test }}
{{ n is nosuchtest }}
{{ n|nosuchfilter }}
{% if no %}{{ n|nosuchfilter }}{% endif %}fine
{{ "a" is even }}
{{ "aXbXc".split("X") }} {{ " a  b ".split() }} {{ "a b c".split(" ", 1) }} {{ "a b c".rsplit(" ", 1) }} {{ " a b c ".split(none, 1) }} {{ " a b c ".rsplit(maxsplit=1) }} {{ "".split() }} {{ "".split(",") }} {{ "a,b".split(",")[-1] }}
{{ "ab".split("") }}
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}| {{ "xxaxx".strip("x") }} {{ "abcab".lstrip("ba") }} {{ "abc".rstrip("cb") }} {{ "\u00a0a\u2003".strip() }}|
{{ "abc".startswith("ab") }}{{ "abc".endswith(("x", "bc")) }}{{ "abc".startswith("b", 1) }}{{ "abc".startswith("c", -1) }}{{ "abc".endswith("b", 0, 2) }}{{ "".startswith("") }}{{ "a".startswith("", 5) }}
{{ "abc".startswith(1) }}
{{ "a-b".replace("-", "+") }} {{ "aaa".replace("a", "b", 2) }} {{ "abc".find("c") }} {{ "abc".find("z") }} {{ "añb".find("b") }} {{ "abcabc".rfind("b") }} {{ "abcabc".index("b", 2) }} {{ "abab".count("ab") }} {{ "aaa".count("") }}
{{ "abc".index("z") }}
{{ word.upper() }} {{ "ǆ".title() }} {{ "hello world's 3d".title() }} {{ "hELLO".capitalize() }} {{ "aBc".swapcase() }} {{ "Straße".casefold() }} {{ "ΑΣ".lower() }} {{ "İ".lower() }}
{{ "a".center(4, "*") }} {{ "ab".center(5, "*") }} {{ "a".ljust(3) }}| {{ "a".rjust(3, ".") }} {{ "-5".zfill(4) }} {{ "a\tb".expandtabs(4) }} {{ "x".join(["a", "b"]) }} {{ "a-b-c".partition("-") }} {{ "a-b-c".rpartition("-") }} {{ "abc".partition("z") }}
{{ "x".join([1, 2]) }}
{{ "abc".removeprefix("a") }} {{ "abc".removesuffix("bc") }} {{ "a\nb\r\nc\x0bd".splitlines() }} {{ "a\nb\n".splitlines(true) }} {{ "abc".isalpha() }}{{ "a1".isalnum() }}{{ "12".isdigit() }}{{ "½".isnumeric() }}{{ " ".isspace() }}{{ "".isalpha() }}{{ "Ab Cd".istitle() }}{{ "ab".islower() }}{{ "²".isdecimal() }}{{ "a_1".isidentifier() }}{{ "é".isascii() }}{{ "\n".isprintable() }}
{{ "{} {}".format(1, "b") }} {{ "{1} {0}".format(1, 2) }} {{ "{a}".format(a=3) }} {{ "{:>5}|{:<5}|{:^5}|".format("x", "y", "z") }} {{ "{:05.1f} {:+d} {:,} {:x} {:%}".format(3.14159, 5, 1234567, 255, 0.25) }} {{ "{0[a]} {0[B][1]}".format(d) }} {{ "{{}}".format() }} {{ "{!r:>6}".format("a") }}
{{ "{} {}".format(1) }}
{{ "{".format() }}
{{ "abc".nosuch }}{{ "abc".nosuch is defined }}
{{ "abc".nosuch() }}
{{ l.append(4) }}
{{ d.update({}) }}
{{ d.pop("a") }}
{{ l.append is defined }}{{ s.__class__ is defined }}
{% set _ = l.append(4) %}{{ l }}
{% do l.append(4) %}
{% set l = l + [4] %}{{ l }} {{ l.append is callable }}
{{ l|map("string")|tojson }}
{{ d.items()|tojson }}
{{ range(3)|tojson }}
{{ l|map("string")|list|tojson }} {{ (d|items|list)[1]|tojson }} {{ d|dictsort|tojson }}
{{ "[1]"|from_json }}
{{ "[1]"|fromjson }}
{{ from_json("[1]") }}
{{ s.__class__.__mro__ }}
{{ l.index(2) }} {{ l.count(1) }} {{ (1, 1).count(1) }} {{ d.copy() == d }} {{ l.copy() }}
{{ l.index(9) }}
{{ range(3) }} {{ range(1, 4)|list }} {{ range(5, 0, -2)|list }} {{ range(3)[1] }} {{ range(0)|list }}
{{ range(1, 9, 0) }}
{{ range(999999) }}
{{ range("a") }}
{{ dict(a=1, b=2) }} {{ dict(d, z=1)["z"] }} {{ dict([("a", 1)]) }} {{ dict() }}
{{ dict(5) }}
{{ raise_exception("no " ~ n) }}
{% set c = cycler("a", "b") %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}
{% set j = joiner("|") %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}
{{ strftime_now("") }}{{ strftime_now("%%") }}
{{ {"a": 1, "a": 2} }} {{ {1: "x"}[1] }} {{ {(1, 2): 3}[(1, 2)] }} {{ {1: "a", true: "b", 1.0: "c"} }}
{{ {[1]: 2} }}
{{ {"x": {"y": [1, {"z": 2}]}}.x.y[1].z }} {{ [[1, 2], [3]][0][1] }} {{ nested.0.1 }} {{ nested[1].0 }}
{{ "a" "b" 'c' }} {{ 'it''s' }} {{ "\t\x41\u0042\n" }} {{ '\'' }} {{ "\q" }} {{ "\101" }}
{{ n|string|length }} {{ -n|abs }} {{ (n, x)|first }} {{ n if n else x|upper }} {{ [n, x]|map("string")|join("+") }} {{ "a,b" | replace(",", ";") | upper }}
{{ not n is defined }} {{ n is defined and x is defined }} {{ n is not none or z }} {{ (n is defined) == true }} {{ n == 7 is true }}
{{ n if }}
{{ n ! }}
{{ (n }}
{{ n
{% if n %}
{% endif %}
{% for %}{% endfor %}
{% nosuchtag %}
{% set %}
{% break %}
{% include "x" %}
{% import "x" as y %}
{% for x in l %}{% endif %}{% endfor %}
{% set none = 1 %}
{% for loop in l %}{{ loop }}{% endfor %}
{{ a b }}
{{ [1, 2 }}
{{ "abc }}
{# open
{% raw %} open
{{ l | }}
{{ n. }}
{{ n['a'] ) }}
""".strip("\n").split("\n")

MULTILINE = [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n", "  {% if yes %}\n  b {{ n }}\n  {% endif %}\n  c", "  {%- if yes -%}\n  b \n {%- endif -%} \n c", "a {%+ if yes %}\n b{% endif +%}\nc\n\n",
    "x\n    {# comment #}\n    y {# c #} z\n", "{%- for i in l %}\n  {{- i }}\n{%- endfor %}\n", "a\r\n{% if yes %}\r\nb\r{% endif %}c\r\n", "\n\n{{ n }}\n\n", " \t {% set a = 1 %} \n\t{{ a }}\n", "{{ n -}}  \n  x  {{- n }}",
    "text {% if yes %}  \n in\n {% endif %}  after\n", "{% if yes -%}\n\n  a\n{%- endif %}", "  {{ n }}\n  {%+ if yes %}x{% endif %}\n", "{#- a -#}  b  {#+ c +#}\nd", "{%- set x = 1 -%}\n{{ x }}\n{%- set y = 2 %}\n{{ y }}",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nb", "  {% raw -%}\n  a\n  {%- endraw %}\nb", "{{ '\n' }}{{ \"a\nb\" }}", "{% for i in l %}\n\n{{ i }}\n{% endfor %}\n\n", "\ufeffx{{ n }}", "a\x0b{% if yes %} \x0c{%- endif %}\x1c{{- n }}",
]

CHATML = """{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

CHATML_TAGGED = """{%- for m in messages %}
    {{- '<|im_start|>' ~ m.role ~ '\\n' }}
    {%- if m.role == 'assistant' %}
        {%- generation %}
            {{- (m.content or '') ~ '<|im_end|>' }}
        {%- endgeneration %}
    {%- else %}
        {{- m.content ~ '<|im_end|>' }}
    {%- endif %}
    {{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

HEADERS = """{{- bos_token }}
{%- set today = date_string | default('1 Jan 2025', true) %}
{%- if messages[0].role == 'system' %}
    {%- set first = messages[0].content | trim %}
    {%- set rest = messages[1:] %}
{%- else %}
    {%- set first = '' %}
    {%- set rest = messages %}
{%- endif %}
{{- '<|header|>system<|/header|>\\n\\nToday is ' + today + '\\n' + first }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- '\\n' + (t | tojson(indent=4)) }}
    {%- endfor %}
{%- endif %}
{{- '<|eot|>' }}
{%- for m in rest %}
    {%- if not (m.role in ['ipython', 'tool'] or 'tool_calls' in m) %}
        {{- '<|header|>' + m.role + '<|/header|>\\n\\n' + m.content | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in m %}
        {%- if m.tool_calls | length != 1 %}
            {{- raise_exception('one call at a time, not ' ~ m.tool_calls | length) }}
        {%- endif %}
        {%- set f = m.tool_calls[0].function %}
        {{- '<|header|>assistant<|/header|>\\n\\n{"name": "' + f.name + '", "parameters": ' + f.arguments | tojson + '}<|eot|>' }}
    {%- else %}
        {{- '<|header|>ipython<|/header|>\\n\\n' }}
        {%- if m.content is mapping or (m.content is iterable and m.content is not string) %}
            {{- m.content | tojson }}
        {%- else %}
            {{- m.content }}
        {%- endif %}
        {{- '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|header|>assistant<|/header|>\\n\\n' }}
{%- endif %}
"""

INST = """{%- set ns = namespace(turn=0, system='') %}
{%- for m in messages if m.role == 'system' %}{% set ns.system = ns.system + m.content + '\\n\\n' %}{% endfor %}
{{- bos_token }}
{%- for m in messages | rejectattr('role', 'equalto', 'system') %}
    {%- if m.role == 'user' %}
        {%- if ns.turn % 2 != 0 %}{{ raise_exception('After a user comes an assistant.') }}{% endif %}
        {%- if loop.last and tools is defined and tools is not none %}
            {{- '[TOOLS] [' }}
            {%- for t in tools %}{{ t.function | tojson }}{{ ', ' if not loop.last else '' }}{% endfor %}
            {{- '][/TOOLS]' }}
        {%- endif %}
        {{- '[INST] ' ~ (ns.system if loop.last) ~ m.content ~ '[/INST]' }}
        {%- set ns.turn = ns.turn + 1 %}
    {%- elif m.role == 'assistant' and m.tool_calls is defined and m.tool_calls is not none %}
        {{- '[CALLS] [' }}
        {%- for c in m.tool_calls %}
            {%- set out = c.function | tojson %}
            {{- out[:-1] }}
            {%- if c.id is not defined or c.id | length != 9 %}{{ raise_exception('an id has 9 characters') }}{% endif %}
            {{- ', "id": "' + c.id + '"}' }}{{ ', ' if not loop.last else ']' + eos_token }}
        {%- endfor %}
        {%- set ns.turn = ns.turn + 1 %}
    {%- elif m.role == 'assistant' %}
        {{- ' ' + m.content | trim + eos_token }}
        {%- set ns.turn = ns.turn + 1 %}
    {%- elif m.role in ('tool', 'tool_results') %}
        {%- set content = m.content.content if m.content.content is defined else m.content %}
        {{- '[RESULT] {"content": ' + content | string + '}[/RESULT]' }}
    {%- else %}{{ raise_exception('Unknown role ' + m.role) }}{% endif %}
{%- endfor %}
"""

THINKING = """{%- if tools %}
{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
{{- "# Tools\\n<tools>" }}
{%- for tool in tools %}
{{- "\\n" }}{{ tool | tojson }}
{%- endfor %}
{{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for m in messages[::-1] %}
{%- set index = (messages|length - 1) - loop.index0 %}
{%- if ns.searching and m.role == "user" and m.content is string and not (m.content.startswith('<result>') and m.content.endswith('</result>')) %}
{%- set ns.searching = false %}{%- set ns.last = index %}
{%- endif %}
{%- endfor %}
{%- for m in messages %}
{%- set content = m.content if m.content is string else '' %}
{%- if m.role == "user" or (m.role == "system" and not loop.first) %}
{{- '<|im_start|>' + m.role + '\\n' + content + '<|im_end|>\\n' }}
{%- elif m.role == "assistant" %}
{%- set thought = '' %}
{%- if m.reasoning_content is string %}
{%- set thought = m.reasoning_content %}
{%- elif '</think>' in content %}
{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|im_start|>assistant\\n' }}
{%- if loop.index0 > ns.last and (loop.last or thought) %}
{{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
{%- endif %}
{{- content }}
{%- for call in m.tool_calls or [] %}
{%- if (loop.first and content) or not loop.first %}{{ '\\n' }}{% endif %}
{%- if call.function %}{%- set call = call.function %}{%- endif %}
{{- '<call>\\n{"name": "' }}{{ call.name }}{{ '", "arguments": ' }}{{ call.arguments if call.arguments is string else call.arguments | tojson }}{{ '}\\n</call>' }}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- elif m.role == "tool" %}
{%- if loop.first or messages[loop.index0 - 1].role != "tool" %}{{ '<|im_start|>user' }}{% endif %}
{{- '\\n<result>\\n' + content + '\\n</result>' }}
{%- if loop.last or messages[loop.index0 + 1].role != "tool" %}{{ '<|im_end|>\\n' }}{% endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}{{ '<think>\\n\\n</think>\\n\\n' if enable_thinking is defined and enable_thinking is false }}
{%- endif %}
"""

TURNS = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles alternate: user, assistant, …') }}{% endif %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}{{ '<start>' + role + '\n' + m['content'] | trim + '<end>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start>model\n' }}{% endif %}"""

MACROS = """{%- macro parts(content) -%}
    {%- if content is string -%}{{ content }}
    {%- else -%}
        {%- for p in content -%}{%- if p.type == 'text' -%}{{ p.text }}{%- else -%}<{{ p.type }}>{%- endif -%}{%- endfor -%}
    {%- endif -%}
{%- endmacro -%}
{%- macro kind(schema) -%}
    {%- if schema.type == 'array' -%}{{ kind(schema['items']) if schema['items'] else 'any' }}[]
    {%- elif schema.type == 'object' -%}{ {% for k, v in schema.properties | dictsort %}{{ k }}{{ '' if k in (schema.required or []) else '?' }}: {{ kind(v) }}{{ ', ' if not loop.last }}{% endfor %} }
    {%- elif schema.enum -%}{{ schema.enum | map('tojson') | join(' | ') }}
    {%- else -%}{{ {'integer': 'number'}.get(schema.type, schema.type | default('any')) }}{%- endif -%}
{%- endmacro -%}
{%- if tools %}namespace functions {
{% for t in tools %}
// {{ t.function.description | default('no description') }}
type {{ t.function.name }} = (_: {{ kind(t.function.parameters) }}) => any;
{% endfor %}
}
{% endif %}
{%- for m in messages -%}
<|start|>{{ m.role }}<|message|>{{ parts(m.content | default('')) }}
{%- if m.thinking is defined %}<|channel|>{{ m.thinking }}{% endif -%}
{%- for c in m.tool_calls | default([], true) %}<|call|>{{ c.function.name }}({% for k, v in c.function.arguments.items() %}{{ k }}={{ v | tojson if v is not string else v }}{{ ', ' if not loop.last }}{% endfor %}){% endfor -%}
<|end|>
{%- endfor -%}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}
"""

PIPES = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, system='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{% set ns.system = m['content'] %}{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system }}{%- for m in messages %}{%- if m['role'] == 'user' %}{%- set ns.is_tool = false -%}{{ '<｜User｜>' + m['content'] }}{%- endif %}{%- if m['role'] == 'assistant' and m['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in m['tool_calls'] %}{{ '<｜call｜>' + tool['function']['name'] + '\\n```json\\n' + tool['function']['arguments'] | tojson + '\\n```' }}{%- endfor %}{{ eos_token }}{%- endif %}{%- if m['role'] == 'assistant' and m['content'] is not none %}{%- if ns.is_tool %}{{ '<｜outputs end｜>' }}{%- set ns.is_tool = false %}{%- endif %}{% set content = m['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ '<｜Assistant｜>' + content + eos_token }}{%- endif %}{%- if m['role'] == 'tool' %}{%- set ns.is_tool = true -%}{{ '<｜output｜>' + m['content'] }}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{ '<｜outputs end｜>' }}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"""

BARE = """{% for m in messages %}{% if m['role'] == 'system' and m['content'] %}{{ '<|system|>\\n' + m['content'] + '<|end|>\\n' }}{% elif m['role'] == 'user' %}{{ '<|user|>\\n' + m['content'] + '<|end|>\\n' }}{% elif m['role'] == 'assistant' %}{% generation %}{{ '<|assistant|>\\n' + m['content'] + '<|end|>\\n' }}{% endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"""

CHATS = {"chatml": CHATML, "chatml_tagged": CHATML_TAGGED, "headers": HEADERS, "inst": INST, "thinking": THINKING, "turns": TURNS, "macros": MACROS, "pipes": PIPES, "bare": BARE}

WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather <now> & \"here\"", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}, "unit": {"enum": ["C", "F"]}}, "required": ["city"]}}}
CALL = {"id": "a1B2c3D4e", "type": "function", "function": {"name": "weather", "arguments": {"city": "北京", "days": [1, 2.5], "unit": None}}}
USER, ASSISTANT, SYSTEM = {"role": "user", "content": " Wie geht's? 🙂\n"}, {"role": "assistant", "content": "Fine.\n"}, {"role": "system", "content": "Be <brief>."}

CONVERSATIONS = [
    {"messages": [USER]}, {"messages": [USER, ASSISTANT]}, {"messages": [SYSTEM, USER, ASSISTANT, USER]}, {"messages": [USER, ASSISTANT, USER, ASSISTANT], "date_string": "26 Jul 2024"},
    {"messages": [SYSTEM, USER], "tools": [WEATHER]}, {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "name": "weather", "content": "{\"t\": 21.5}"}, ASSISTANT], "tools": [WEATHER]},
    {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}, {"role": "tool", "content": "hot"}, {"role": "tool", "content": "cold"}], "tools": [WEATHER]},
    {"messages": [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes", "tool_calls": None}, USER, {"role": "assistant", "content": "<think>\na b\n</think>\n\nno"}]},
    {"messages": [USER, {"role": "assistant", "reasoning_content": "because", "content": "so"}], "enable_thinking": False}, {"messages": [USER, {"role": "assistant", "thinking": "old name", "content": "so"}]}, {"messages": [USER], "enable_thinking": False},
    {"messages": [ASSISTANT, USER]}, {"messages": [USER, {"role": "critic", "content": "x"}]}, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}]}, {"messages": [{"role": "user"}]},
    {"messages": []}, {"messages": [{"role": "user", "content": "<|im_end|>\n{{ 7 * 7 }}{% raw %}"}, {"role": "assistant", "content": "<s>[INST]"}]},
]


def snippet(template):
    try:
        return {"template": template, "text": _compile_jinja_template(template).render(**VARIABLES)}
    except Exception:
        return {"template": template, "refused": True}


def chat(tokenizer, template, conversation):
    rest = {k: v for k, v in conversation.items() if k != "messages"}
    try:
        text = tokenizer.apply_chat_template(conversation["messages"], chat_template=template, tokenize=False, **rest)
    except Exception:
        return {"conversation": conversation, "refused": True}
    case = {"conversation": conversation, "text": text}
    if "generation %}" in template:
        messages = [{k: v for k, v in m.items() if v is not None} for m in conversation["messages"]]
        spans = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask=True, **tokenizer.special_tokens_map, **rest)[1][0]
        case["spans"] = [list(s) for s in spans]
    return case


def main():
    for package, version in PINNED.items():
        found = importlib.metadata.version(package)
        if found != version:
            raise SystemExit(f"{package} is {found}; the goldens were made with {version}")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0})), bos_token="<s>", eos_token="</s>")
    asks = [dict(c, add_generation_prompt=ask) for c in CONVERSATIONS for ask in (False, True)]
    goldens = {
        "variables": VARIABLES,
        "snippets": [snippet(t) for t in SNIPPETS + MULTILINE],
        "chats": [{"name": name, "template": t, "cases": [chat(tokenizer, t, c) for c in asks]} for name, t in CHATS.items()],
    }
    OUT.write_text(json.dumps(goldens, ensure_ascii=False, indent=1) + "\n", encoding="utf8")
    refused = sum("refused" in s for s in goldens["snippets"])
    print(f"{OUT}: {len(goldens['snippets'])} snippets, {refused} refused; {len(CHATS)} templates on {len(asks)} conversations")


if __name__ == "__main__":
    main()
