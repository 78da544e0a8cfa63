#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "lathe/base/utf8.h"
#include "lathe/text/jinja/template.h"

namespace lathe::fuzz {
namespace {

const nlohmann::ordered_json& variables() {
  static const auto json = nlohmann::ordered_json::parse(R"({
    "n": 7, "x": 2.5, "s": "a b\u00e9 \ud83d\ude42", "l": [3, 1, 2], "d": {"a": 1, "b": {"c": null}},
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<b>"}]})");
  return json;
}

}  // namespace

// Small limits: what they bound is a template's right to use. A text that is given is UTF-8.
void check(std::string_view bytes) {
  const auto parsed = jinja::Template::parse(bytes, "f");
  jinja::RenderOptions options;
  options.limits = {.steps = 20'000, .bytes = 1 << 24, .output = 1 << 18, .depth = 400};
  for (const auto undefined : {jinja::OnUndefined::kEmpty, jinja::OnUndefined::kError}) {
    options.undefined = undefined;
    try {
      const jinja::Rendered rendered = parsed.render(variables(), options);
      promise(is_valid_utf8(rendered.text) && rendered.text.size() <= options.limits.output);
      for (const jinja::TextSpan& span : rendered.generations)
        promise(span.begin <= span.end && span.end <= rendered.text.size());
    } catch (const Error&) {
    }
  }
}

std::vector<Seed> seeds() {
  return {
      {"loop",
       "{% for m in messages if m.role %}{{ loop.index ~ m['role'] }}{% else %}-{% endfor %}"},
      {"macro",
       "{% macro f(a, b=1) %}{{ a }}{{ caller() }}{% endmacro %}{% call f(2) %}x{% endcall %}"},
      {"recursive",
       "{% for i in [1, [2]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}"},
      {"values",
       "{{ {'a': [1, 2.5, none, (1,)]} }}{{ d|tojson(indent=2) }}{{ l[::-1] }}{{ -n // 2 ** 3 % 5 }}"},
      {"filters",
       "{{ l|sort|join(',')|upper|replace('A', 'b')|trim|indent(2) }}{{ messages|selectattr('role', 'eq', 'user')|map(attribute='content')|list }}{{ d|dictsort }}{{ l|groupby('a')|list }}"},
      {"format", "{{ '%5.2f|%-3s|%x' % (x, s, n) }}{{ '{:>8,.1f} {0[a]}'.format(x, d) }}"},
      {"methods",
       "{{ s.split()[0].strip('a').title() }}{{ s.rsplit(none, 1) }}{{ s.find('b') }}{{ s.partition(' ') }}{{ s.zfill(9) }}"},
      {"blocks",
       "{%- set ns = namespace(a=1) -%}{% set ns.a = 2 %}{% set b | upper %}x{% endset %}{% filter lower %}Y{% endfilter %}{% with q = 1 %}{{ q }}{% endwith %}{% generation %}{{ b }}{% endgeneration %}{% raw %}{{{% endraw %}{# c #}"},
      {"control",
       "{% for i in range(9) %}{% if i is odd %}{% continue %}{% elif i > 5 %}{% break %}{% endif %}{{ i }}{% endfor %}"},
      {"functions",
       "{{ dict(a=1, **d) }}{{ strftime_now('%d') }}{% set c = cycler(1, 2) %}{{ c.next() }}{{ joiner()() }}{{ raise_exception('x') }}"},
  };
}

}  // namespace lathe::fuzz
