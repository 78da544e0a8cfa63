#include "lathe/constraint/string_formats.h"

#include <map>

#include "lathe/base/error.h"

namespace lathe::constraint {
namespace {

// Days that the calendar has, 29 February only in leap years.
std::string date() {
  const std::string leap =
      R"((?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00))";
  return fmt::format(
      "(?:[0-9]{{4}}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]"
      "|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|{}-02-29)",
      leap);
}

std::string time() {
  return R"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))";
}

std::string hostname() {
  const std::string label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
  return fmt::format("{0}(?:\\.{0}){{0,3}}", label);
}

std::string ipv4() {
  const std::string byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
  return fmt::format("{0}\\.{0}\\.{0}\\.{0}", byte);
}

// Eight groups of four digits, of which one run may be left out.
std::string ipv6() {
  const std::string group = "[0-9A-Fa-f]{1,4}";
  std::string ways = fmt::format("(?:{0}:){{7}}{0}", group);
  for (int before = 0; before <= 7; ++before) {
    const int behind = 7 - before;
    const std::string head =
        before == 0 ? "" : fmt::format("{0}(?::{0}){{{1}}}", group, before - 1);
    const std::string tail =
        behind == 0 ? "" : fmt::format("(?:{0}(?::{0}){{0,{1}}})?", group, behind - 1);
    ways += fmt::format("|{}::{}", head, tail);
  }
  return ways;
}

const std::map<std::string, std::string, std::less<>>& formats() {
  static const std::map<std::string, std::string, std::less<>> table = [] {
    std::map<std::string, std::string, std::less<>> t;
    const std::string atom = "[A-Za-z0-9_+-]{1,32}";
    t["date"] = date();
    t["time"] = time();
    t["date-time"] = date() + "T" + time();
    t["duration"] =
        "P(?:[0-9]{1,9}W|(?:[0-9]{1,9}Y)?(?:[0-9]{1,9}M)?[0-9]{1,9}D(?:T[0-9]{1,9}H)?|T[0-9]{1,9}[HMS])";
    t["email"] = fmt::format("{0}(?:\\.{0}){{0,3}}@{1}", atom, hostname());
    t["hostname"] = hostname();
    t["ipv4"] = ipv4();
    t["ipv6"] = ipv6();
    t["uuid"] = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
    t["uri"] =
        R"([A-Za-z][A-Za-z0-9+.-]{0,31}:(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,600})";
    t["uri-reference"] = R"((?:[A-Za-z0-9._~/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,600})";
    t["json-pointer"] = "(?:/(?:[^~/]|~[01])*)*";
    for (const char* nothing : {"password", "binary"}) t[nothing] = "";
    return t;
  }();
  return table;
}

}  // namespace

const std::string* find_string_format(std::string_view name) {
  const auto found = formats().find(name);
  return found == formats().end() ? nullptr : &found->second;
}

std::vector<std::string> string_format_names() {
  std::vector<std::string> names;
  for (const auto& format : formats()) names.push_back(format.first);
  return names;
}

}  // namespace lathe::constraint
