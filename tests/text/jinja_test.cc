// Templates: errors say where and what, limits hold, strict mode, values that keep their type.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/text/jinja/template.h"

namespace lathe::jinja {
namespace {

using Json = nlohmann::ordered_json;

std::string render(std::string_view source, const Json& variables = Json::object(),
                   const RenderOptions& options = {}) {
  return Template::parse(source, "t").render(variables, options).text;
}

std::string message(std::string_view source, const Json& variables = Json::object(),
                    const RenderOptions& options = {}) {
  try {
    return "gave " + render(source, variables, options);
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(Jinja, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(message("a\n  {{ b | uper }}"),
            "[t] line 2, column 10: there is no filter 'uper'. Did you mean 'upper'?");
  EXPECT_EQ(message("\xC3\xA9{{ x.y.z }}", {{"x", Json::object()}}),
            "[t] line 1, column 9: a value of type dict has no 'y'");
  EXPECT_EQ(message("{{ 1 is evn }}"),
            "[t] line 1, column 9: there is no test 'evn'. Did you mean 'even'?");
  EXPECT_EQ(message("{{ raise_exception('roles') }}"),
            "[t] line 1, column 4: the template refuses this: roles");
  EXPECT_EQ(message("{% if a %}\n{{ 1 }}"),
            "[t] line 2, column 8: expected {% endif %} for the block 'if', found the end of the "
            "template");
  EXPECT_EQ(
      message("{% fore x in y %}"),
      "[t] line 1, column 4: there is no tag 'fore'. Did you mean 'for'? Known: if, for, set, "
      "macro, call, filter, with, generation, break, continue");
  EXPECT_EQ(message("x{% endfor %}"),
            "[t] line 1, column 5: 'endfor' belongs to no block that is open here");
  EXPECT_EQ(message("{% include 'a' %}"),
            "[t] line 1, column 4: the tag 'include' belongs to templates of several files, and "
            "this one stands alone; put the text itself here");
  EXPECT_EQ(message("{{ a b }}"), "[t] line 1, column 6: expected the end of the tag, found 'b'");
  EXPECT_EQ(message("{{ {'a': [1, 2}"),
            "[t] line 1, column 15: '}' does not close the '[' before it");
  EXPECT_EQ(message("{{ 'abc }}"),
            "[t] line 1, column 4: the text that begins here has no closing '");
  EXPECT_EQ(message("{{ \xFF }}"), "[t] the template is not valid UTF-8");
  EXPECT_EQ(message("{{ 1 }}", Json::array()),
            "[t] line 1, column 1: expected an object of variables, got a value of type array");
}

TEST(Jinja, RefusesWhatIsNotSupportedByName) {
  for (const char* source : {"{{ [1]|random }}", "{{ 'x'|urlize }}", "{{ 'x'|pprint }}",
                             "{{ 'x'|wordwrap(3) }}", "{{ lipsum() }}"})
    EXPECT_NE(message(source).find("not supported"), std::string::npos) << source;
}

// As in the sandbox of transformers; the advice is followed.
TEST(Jinja, SaysWhatToDoInsteadOfChangingAValue) {
  const Json old = {{"l", {1, 2}}, {"d", {{"a", 1}}}};
  EXPECT_EQ(
      message("{% set _ = l.append(3) %}", old),
      "[t] line 1, column 14: 'append' would change a value of type list, which the sandbox of "
      "chat templates forbids; make a new one, e.g. old + [item]");
  EXPECT_EQ(render("{% set l = l + [3] %}{{ l }}", old), "[1, 2, 3]");
  EXPECT_EQ(
      message("{{ d.update(b=2) }}", old),
      "[t] line 1, column 6: 'update' would change a value of type dict, which the sandbox of "
      "chat templates forbids; make a new one, e.g. dict(old, key=value)");
  EXPECT_EQ(render("{{ dict(d, b=2) }}", old), "{'a': 1, 'b': 2}");
  EXPECT_EQ(message("{{ l|map('string')|tojson }}", old),
            "[t] line 1, column 20: tojson cannot write a value of type generator; make it a list "
            "with the filter `list` first");
  EXPECT_EQ(render("{{ l|map('string')|list|tojson }}", old), "[\"1\", \"2\"]");
}

TEST(Jinja, StopsAtItsLimits) {
  const auto stops = [](std::string_view source, std::string_view why) {
    EXPECT_NE(message(source).find(why), std::string::npos) << source << ": " << message(source);
  };
  stops("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "does not end");
  stops("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "goes deeper than 800");
  stops("{{ 'x' * 999999999999 }}", "more than 64 MiB");
  stops("{{ [0] * 999999999 }}", "more than 64 MiB");
  stops("{{ 'a'.center(99999999999) }}", "more than 64 MiB");
  stops("{{ '%999999999d' % 1 }}", "more than 64 MiB");
  stops("{{ '{:>999999999}'.format(1) }}", "more than 64 MiB");
  stops("{{ 'x'|indent(999999999) }}", "more than 64 MiB");
  stops("{{ ('a' * 9999999).replace('a', 'b' * 9999) }}", "more than 64 MiB");
  stops("{{ ('a' * 9999999)|replace('a', 'b' * 9999) }}", "more than 64 MiB");
  stops(
      "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
      "more than 64 MiB");
  stops(
      "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor "
      "%}{{ n.l }}",
      "does not end");
  stops(
      "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor "
      "%}{{ n.l }}",
      "more than 200 deep");
  stops("{{ 10 ** 99 }}", "128 bits");
  stops("{{ 2 ** 999999999999 }}", "128 bits");
  stops("{{ range(100001) }}", "at most 100000");
  const auto repeated = [](std::string_view part, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += part;
    return out;
  };
  stops(fmt::format("{{{{ {}1{} }}}}", repeated("(", 300), repeated(")", 300)),
        "more than 200 deep");
  stops(fmt::format("{{{{ 1{} }}}}", repeated(" + 1", 600)), "more than 500 operators");
}

TEST(Jinja, ValuesThatHoldThemselvesAreFreed) {
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.me = n %}{{ n.me.me is defined }}"), "True");
  EXPECT_EQ(render("{% set n = namespace(p=none) %}{% for i in range(50000) %}{% set n.p = "
                   "namespace(p=n.p) %}{% endfor %}{{ n.p.p.p is defined }}"),
            "True");
}

TEST(Jinja, AnUndefinedNameIsAnErrorInStrictMode) {
  const RenderOptions strict{.undefined = OnUndefined::kError};
  for (const char* source :
       {"{{ x }}", "{% if x %}{% endif %}", "{{ 'a' ~ x }}", "{{ x == 1 }}", "{{ x|upper }}",
        "{% for i in x %}{% endfor %}", "{{ d.y }}", "{{ x or 1 }}", "{{ not x }}"})
    EXPECT_NE(message(source, {{"d", Json::object()}}, strict).find("[t] line 1"),
              std::string::npos)
        << source;
  EXPECT_EQ(render("{{ x is defined }}{{ x|default('a') }}{{ d.y|d(1) }}{{ x is undefined }}",
                   {{"d", Json::object()}}, strict),
            "Falsea1True");
}

TEST(Jinja, AnExpressionAloneKeepsItsType) {
  const auto value = [](std::string_view source, const Json& variables = Json::object()) {
    return Template::parse(source, "t").evaluate(variables);
  };
  EXPECT_EQ(value("{{ [1, 2.5, none, true, 'a'] }}"), Json::parse("[1, 2.5, null, true, \"a\"]"));
  EXPECT_EQ(value("{{ d.a }}", {{"d", {{"a", {{"b", 1}}}}}}), Json::parse("{\"b\": 1}"));
  EXPECT_EQ(value("{{ l|map('upper') }}", {{"l", {"a", "b"}}}), Json::parse("[\"A\", \"B\"]"));
  EXPECT_EQ(value(" {{ 1 }}"), Json(" 1"));
  EXPECT_EQ(value("{{ 1 }}{{ 2 }}"), Json("12"));
  // What only defines writes nothing.
  EXPECT_EQ(value("{% macro f(x) %}<{{ x }}>{% endmacro %}\n{% set a = 1 %}\n{{ [f(a), a] }}"),
            Json::parse("[\"<1>\", 1]"));
  EXPECT_EQ(value("{% if true %}{% endif %}{{ 1 }}"), Json("1"));
}

TEST(Jinja, TheClockIsTheCallers) {
  RenderOptions options;
  options.now = [] {
    std::tm t{};
    t.tm_year = 124;
    t.tm_mon = 6;
    t.tm_mday = 26;
    return t;
  };
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y') }}", Json::object(), options), "26 Jul 2024");
  EXPECT_NE(message("{{ strftime_now('%9999999d') }}").find("4096 bytes"), std::string::npos);
}

TEST(Jinja, SaysWhatStandsInGenerationBlocks) {
  const auto t = Template::parse(
      "\xC3\xA9{% generation %}\xC3\xA4{{ x }}{% endgeneration %}c{% generation %}{% endgeneration %}",
      "t");
  EXPECT_TRUE(t.has_generations());
  const Rendered r = t.render({{"x", "b"}});
  ASSERT_EQ(r.generations.size(), 2u);
  EXPECT_EQ(r.generations[0].begin, 2u);
  EXPECT_EQ(r.generations[0].end, 5u);
  EXPECT_EQ(r.generations[1].begin, 6u);
  EXPECT_EQ(r.generations[1].end, 6u);
}

}  // namespace
}  // namespace lathe::jinja
