#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct NormConfig {
  std::string kind = "rms";
  double eps = 1e-5;
  void visit(Visitor& v) {
    v.choice("kind", kind, {"rms", "layer"}, "which normalisation");
    v.field("eps", eps, "added to the variance", above(0));
  }
};

struct ToyConfig {
  int64_t steps = 10;
  double lr = 3e-4;
  bool tied = false;
  std::string name = "toy";
  std::optional<int64_t> head_dim;
  std::vector<double> betas = {0.9, 0.95};
  std::vector<std::string> tags;
  NormConfig norm;
  void visit(Visitor& v) {
    v.field("steps", steps, "optimiser steps", at_least(1));
    v.field("lr", lr, "peak learning rate", between(0, 1));
    v.field("tied", tied, "share the head with the embedding");
    v.group("norm", norm, "normalisation");
    v.field("name", name, "what to call it");
    v.field("head_dim", head_dim, "width of a head", at_least(1));
    v.field("betas", betas, "decay rates", between(0, 1));
    v.field("tags", tags, "free words");
  }
};

std::string error_of(const std::string& toml, std::string_view where = "r.toml") {
  ToyConfig config;
  try {
    read_config(config, parse_toml(toml, where), where);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kConfig);
    EXPECT_EQ(write_config(config), write_config(ToyConfig())) << "changed although it threw";
    return e.what();
  }
  return "no error";
}

TEST(Config, ReadsEveryType) {
  ToyConfig c;
  read_config(c,
              parse_toml("steps = 5\nlr = 1\ntied = true\nname = 'x'\nhead_dim = 64\n"
                         "betas = [0, 0.5]\ntags = ['a', 'b']\n[norm]\nkind = 'layer'\n",
                         "t"),
              "t");
  EXPECT_EQ(c.steps, 5);
  EXPECT_EQ(c.lr, 1.0);
  EXPECT_TRUE(c.tied);
  EXPECT_EQ(c.name, "x");
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.betas, (std::vector<double>{0, 0.5}));
  EXPECT_EQ(c.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(c.norm.kind, "layer");
  EXPECT_EQ(c.norm.eps, 1e-5);
}

TEST(Config, NullUnsetsAnOptional) {
  ToyConfig c;
  c.head_dim = 3;
  read_config(c, parse_json(R"({"head_dim": null})", "t"), "t");
  EXPECT_EQ(c.head_dim, std::nullopt);
}

TEST(Config, ErrorsNameKeyFoundExpectedAndTheFix) {
  EXPECT_EQ(error_of("stpes = 1"),
            "[r.toml] unknown key 'stpes'. Did you mean 'steps'? Keys of the top level: steps, lr, "
            "tied, norm, name, head_dim, betas, tags");
  EXPECT_EQ(
      error_of("[norm]\nkidn = 'rms'"),
      "[r.toml] unknown key 'norm.kidn'. Did you mean 'norm.kind'? Keys of [norm]: kind, eps");
  EXPECT_EQ(
      error_of("steps = 'many'"),
      "[r.toml] steps is \"many\" (a string), expected an integer, at least 1. Write steps = 10");
  EXPECT_EQ(error_of("steps = 100.0"),
            "[r.toml] steps is 100.0 (a decimal number), expected an integer, at least 1. Write "
            "steps = 100");
  EXPECT_EQ(error_of("steps = 0"),
            "[r.toml] steps is 0 (an integer), expected an integer, at least 1. Write steps = 10");
  EXPECT_EQ(error_of("[norm]\neps = 0.0"),
            "[r.toml] norm.eps is 0.0 (a decimal number), expected a number, above 0. Write eps = "
            "1e-05 in [norm]");
  EXPECT_EQ(
      error_of("[norm]\nkind = 'layr'"),
      "[r.toml] norm.kind is \"layr\" (a string), expected one of 'rms', 'layer'. Did you mean "
      "'layer'? Write kind = \"rms\" in [norm]");
  EXPECT_EQ(error_of("norm = 3"),
            "[r.toml] norm is 3 (an integer), expected a section; write its keys under [norm]");
  EXPECT_EQ(error_of("name = 5"),
            "[r.toml] name is 5 (an integer), expected a string. Write name = \"5\"");
  EXPECT_EQ(error_of("betas = [0.9, 2]"),
            "[r.toml] betas is [0.9,2] (a list), expected a list of numbers, each between 0 and 1. "
            "Write betas = [0.9, 0.95]");
  EXPECT_EQ(error_of("lr = nan"),
            "[r.toml] lr is nan (a decimal number), expected a number, between 0 and 1. Write lr = "
            "0.0003");
  EXPECT_EQ(
      error_of("head_dim = 0"),
      "[r.toml] head_dim is 0 (an integer), expected an integer, at least 1. Write head_dim = "
      "1");
  EXPECT_EQ(error_of("tied = 1", "config.json"),
            "[config.json] tied is 1 (an integer), expected true or false. Write \"tied\": false");
}

TEST(Config, IntegerAbove63BitsIsRefused) {
  ToyConfig c;
  EXPECT_THROW(read_config(c, parse_json(R"({"steps": 9223372036854775808})", "t"), "t"), Error);
  read_config(c, parse_json(R"({"steps": 9223372036854775807})", "t"), "t");
  EXPECT_EQ(c.steps, INT64_MAX);
}

TEST(Config, MissingRequiredKey) {
  struct Needs {
    std::string out;
    void visit(Visitor& v) { v.field("out", out, "where to write", required()); }
  } needs;
  try {
    read_config(needs, Json::object(), "r.toml");
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(
        e.what(),
        "[r.toml] out is missing (where to write), expected a string; write out = \"...\"");
  }
}

TEST(Config, UnknownKeysCanBeCollected) {
  ToyConfig c;
  std::vector<std::string> unknown;
  read_config(c, parse_toml("steps = 2\nfoo = 1\n[norm]\nbar = 2", "t"), "t",
              {.unknown = &unknown});
  EXPECT_EQ(c.steps, 2);
  EXPECT_EQ(unknown, (std::vector<std::string>{"norm.bar", "foo"}));
}

TEST(Config, TreeAndTomlRoundTrip) {
  ToyConfig c;
  c.name = "quote \" back\\slash \n tab\t \x01 \xE4\xBD\xA0";
  c.lr = 0.1;
  c.betas = {1.0 / 3.0};
  c.head_dim = 7;
  const std::string toml = config_to_toml(c);
  ToyConfig again;
  read_config(again, parse_toml(toml, "t"), "t");
  EXPECT_EQ(write_config(again), write_config(c)) << toml;
  EXPECT_EQ(again.betas, c.betas);
  EXPECT_EQ(config_to_toml(ToyConfig()),
            "# optimiser steps (at least 1)\nsteps = 10\n"
            "# peak learning rate (between 0 and 1)\nlr = 0.0003\n"
            "# share the head with the embedding\ntied = false\n"
            "# what to call it\nname = \"toy\"\n"
            "# width of a head (at least 1)\n# head_dim is not set\n"
            "# decay rates (between 0 and 1)\nbetas = [0.9, 0.95]\n"
            "# free words\ntags = []\n"
            "\n# normalisation\n[norm]\n"
            "# which normalisation: rms, layer\nkind = \"rms\"\n"
            "# added to the variance (above 0)\neps = 1e-05\n");
}

TEST(Config, DescribeAndMarkdown) {
  const auto fields = describe(ToyConfig());
  ASSERT_EQ(fields.size(), 9u);
  EXPECT_EQ(fields[3].key, "norm.kind");
  EXPECT_EQ(fields[3].choices, (std::vector<std::string>{"rms", "layer"}));
  EXPECT_EQ(fields[6].type, "integer");
  EXPECT_TRUE(fields[6].optional);
  EXPECT_EQ(fields[7].type, "list of numbers");
  EXPECT_EQ(config_markdown(NormConfig()),
            "| key | type | default | meaning |\n|---|---|---|---|\n"
            "| `kind` | string | `\"rms\"` | which normalisation: rms, layer |\n"
            "| `eps` | number | `1e-05` | added to the variance (above 0) |\n");
}

TEST(Config, MapsAreTablesWithIntegersAsKeys) {
  struct Biased {
    std::map<int64_t, double> bias;
    void visit(Visitor& v) { v.field("bias", bias, "by id", between(-100, 100)); }
  };
  Biased c{.bias = {{7, 1.5}, {-2, 3}}};
  const std::string toml = config_to_toml(c);
  EXPECT_EQ(toml, "# by id (between -100 and 100)\nbias = {\"-2\" = 3.0, \"7\" = 1.5}\n");
  Biased again{.bias = {{1, 1}}};
  read_config(again, parse_toml(toml, "t"), "t");
  EXPECT_EQ(again.bias, c.bias);
  EXPECT_EQ(write_config(c).dump(), R"({"bias":{"-2":3.0,"7":1.5}})");
  EXPECT_EQ(describe(c)[0].type, "map from integers to numbers");
  try {
    read_config(again, write_config(Biased{.bias = {{1, 200}}}), "f.json");
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("expected integers with a number each, each between -100 "
                                         "and 100. Write \"bias\": {\"7\": -100"),
              std::string::npos)
        << e.what();
  }
}

TEST(Config, ListingAKeyTwiceIsAnError) {
  struct Twice {
    int64_t a = 0;
    void visit(Visitor& v) {
      v.field("a", a, "");
      v.field("a", a, "");
    }
  };
  Twice twice;
  EXPECT_THROW(describe(twice), Error);
}

}  // namespace
}  // namespace lathe
