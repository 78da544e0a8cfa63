// Folders as they were published, in all families: older names, buffers, heads, what lies beside.

#include <map>

#include "lathe/model/stored_weights.h"
#include "model/folder_testing.h"

namespace lathe::testing {
namespace {

using Array = Folder::Array;

class PublishedFolder : public Folder {
 protected:
  // Each family of transformers with a tiny model, its folder and what it computes.
  void for_each_family(const std::function<void(const Family&, const fs::path&)>& f,
                       const std::function<void(ModelConfig&)>& change = {}) {
    for (const Family* family : families()) {
      if (family == &lathe_family()) continue;
      SCOPED_TRACE(family->name);
      ModelConfig c = family_config(std::string(family->name));
      if (change) change(c);
      const fs::path path = save(c);
      want_ = logits();
      f(*family, path);
    }
  }
  std::vector<double> logits() { return logits_of(*model_, some_ids(1, 5)).to_vector(); }
  static std::vector<double> logits(const fs::path& path, const Log& log = {}) {
    return logits_of(*load_model(path, {.log = log}), some_ids(1, 5)).to_vector();
  }
  // The name on disk of a parameter of the model that was saved last.
  std::string name_of_parameter(const Family& family, const std::string& ours) {
    for (const DiskTensor& t : map_weights(*model_, family))
      if (t.pieces[0].parameter->name == ours) return t.name;
    return "none";
  }
  static void rename(const fs::path& path,
                     const std::function<std::string(const std::string&)>& f) {
    rewrite(path, [&](std::vector<Array>& arrays) {
      for (Array& a : arrays) a.name = f(a.name);
    });
  }

  std::vector<double> want_;
};

TEST_F(PublishedFolder, ConstantBuffersArePassedOverInEveryFamily) {
  for_each_family([&](const Family&, const fs::path& path) {
    rewrite(path, [](std::vector<Array>& arrays) {
      for (const char* name :
           {"transformer.h.0.attn.bias", "h.1.attn.masked_bias", "h.0.attn.attention.bias",
            "gpt_neox.layers.0.attention.bias", "gpt_neox.layers.1.attention.masked_bias",
            "gpt_neox.layers.0.attention.rotary_emb.inv_freq", "rotary_emb.inv_freq",
            "model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.cos_cached",
            "bert.embeddings.position_ids", "model.decoder.version"})
        arrays.push_back({name, "BOOL", {1, 1, 2, 2}, std::string(4, '\1')});
    });
    CollectedLog collected;
    EXPECT_EQ(logits(path, collected.log), want_);
    EXPECT_EQ(collected.text, "");
  });
}

// OPT's decoder.layers.0 among them, and GPT-2's h.0.
TEST_F(PublishedFolder, TheBaseModelsPrefixMayBeMissing) {
  int families = 0;
  for_each_family([&](const Family&, const fs::path& path) {
    rename(path, [&](const std::string& name) {
      for (const std::string prefix : {"transformer.", "model.", "gpt_neox.", "bert."})
        if (name.starts_with(prefix)) return name.substr(prefix.size());
      return name;
    });
    families += SafetensorsReader(path).find("lm_head.weight") == nullptr ? 1 : 0;
    EXPECT_EQ(logits(path), want_);
  });
  EXPECT_GE(families, 8);  // that are tied, and so hold the base model alone
}

TEST_F(PublishedFolder, AWrappersPrefixMayStandBeforeEveryName) {
  for (const std::string wrapper : {"module.", "_orig_mod."})
    for_each_family([&](const Family&, const fs::path& path) {
      rename(path, [&](const std::string& name) { return wrapper + name; });
      EXPECT_EQ(logits(path), want_);
    });
}

TEST_F(PublishedFolder, AHeadThatDiffersFromATiedTableIsKept) {
  for_each_family(
      [&](const Family& family, const fs::path& path) {
        patch_config(path, R"({"tie_word_embeddings": true})");
        // Which says of Switch Transformers that logits are divided by sqrt(hidden_size), too.
        if (family.name == "switch_transformers")
          for (double& x : want_) x /= 4;
        EXPECT_FALSE(read_model_config(path).tie_word_embeddings);
        EXPECT_EQ(logits(path), want_);
        // Saved again, it is untied for everyone.
        const auto loaded = load_model(path, {});
        const fs::path again = folder_ / ("again" + std::to_string(count_++));
        fs::create_directories(again);
        save_model(*loaded, again, {.like = path});
        EXPECT_EQ(read_json_file(again / "config.json")["tie_word_embeddings"], false);
        EXPECT_EQ(logits(again), want_);
      },
      [](ModelConfig& c) { c.tie_word_embeddings = false; });
}

TEST_F(PublishedFolder, AnEqualHeadIsNoneOfItsOwn) {
  for_each_family(
      [&](const Family& family, const fs::path& path) {
        const std::string table = name_of_parameter(family, "embedding.weight");
        ModelConfig untied = model_->config();
        untied.tie_word_embeddings = false;
        model_ = make_model(untied, DType::kF32, Device::kCpu);
        const std::string head = name_of_parameter(family, "head.weight");
        const auto add_head = [&](std::vector<Array>& arrays) {
          for (const Array& a : std::vector(arrays))
            if (a.name == table) arrays.push_back({head, a.dtype, a.shape, a.bytes});
        };
        rewrite(path, add_head);
        EXPECT_TRUE(read_model_config(path).tie_word_embeddings);
        EXPECT_EQ(logits(path), want_);
        // And it may lie there alone.
        rewrite(path, [&](auto& arrays) {
          std::erase_if(arrays, [&](const Array& a) { return a.name == table; });
        });
        EXPECT_EQ(logits(path), want_);
      },
      [](ModelConfig& c) { c.tie_word_embeddings = true; });
}

TEST_F(PublishedFolder, WhatTheModelHasNoUseForIsNamed) {
  for_each_family([&](const Family&, const fs::path& path) {
    rewrite(path, [](auto& arrays) {
      arrays.push_back({"v_head.summary.weight", "F32", {2}, std::string(8, '\0')});
      arrays.push_back({"score.weight", "I8", {1}, "x"});
    });
    CollectedLog collected;
    EXPECT_EQ(logits(path, collected.log), want_);
    EXPECT_EQ(collected.text, "warning: " + path.string() +
                                  ": the model does not use 2 tensors, "
                                  "which are ignored: v_head.summary.weight, score.weight\n");
  });
  const fs::path path = save(family_config("llama"));
  rewrite(path, [](auto& arrays) {
    for (int i = 0; i < 20; ++i)
      arrays.push_back({"classifier." + std::to_string(i), "F32", {1}, std::string(4, '\0')});
  });
  CollectedLog collected;
  load_for_inference(path, DType::kF32, collected.log);
  EXPECT_NE(collected.text.find("20 tensors"), std::string::npos) << collected.text;
  EXPECT_NE(collected.text.find(" and 14 more"), std::string::npos) << collected.text;
}

TEST_F(PublishedFolder, TheTableOfT5MayLieUnderItsStacks) {
  for (const char* family : {"t5", "switch_transformers"})
    for (const std::string stack : {"encoder", "decoder"}) {
      const fs::path path = save(family_config(family));
      want_ = logits();
      rename(path, [&](const std::string& name) {
        return name == "shared.weight" ? stack + ".embed_tokens.weight" : name;
      });
      EXPECT_EQ(logits(path), want_) << family << stack;
    }
}

// An output head that is scaled as a tied one is, as T5 1.0 has it.
TEST_F(PublishedFolder, AScaledHeadOfItsOwnStaysInItsFamily) {
  ModelConfig c = family_config("t5");
  c.tie_word_embeddings = false;
  const fs::path path = save(c);
  want_ = logits();
  for (double& x : want_) x /= 4;  // sqrt(16)
  patch_config(path, R"({"tie_word_embeddings": true, "scale_decoder_outputs": true})");
  EXPECT_EQ(logits(path), want_);
  const auto loaded = load_model(path, {});
  EXPECT_EQ(family_for(loaded->config()).name, "t5");
  const fs::path again = folder_ / "again";
  fs::create_directories(again);
  save_model(*loaded, again, {});
  EXPECT_EQ(logits(again), want_);
}

// In transformers the untied head of BERT has a bias of its own, beside one that is not used.
TEST_F(PublishedFolder, AnUntiedHeadOfBertHasItsOwnBias) {
  ModelConfig c = family_config("bert");
  c.tie_word_embeddings = false;
  const fs::path path = save(c);
  want_ = logits();
  EXPECT_NE(SafetensorsReader(path).find("cls.predictions.decoder.bias"), nullptr);
  rewrite(path, [](auto& arrays) {
    arrays.push_back({"cls.predictions.bias", "F32", {1}, std::string(4, '\1')});
  });
  CollectedLog collected;
  EXPECT_EQ(logits(path, collected.log), want_);
  EXPECT_EQ(collected.text, "");
}

TEST_F(PublishedFolder, NamesOfOneFamilyAlone) {
  const fs::path neox = save(family_config("gpt_neox"));
  want_ = logits();
  rename(neox, [](const std::string& name) {
    return name == "embed_out.weight" ? "lm_head.weight" : name;
  });
  EXPECT_EQ(logits(neox), want_);
  const fs::path bert = save(family_config("bert"));
  want_ = logits();
  rename(bert, [](const std::string& name) {
    const std::string weight = "LayerNorm.weight", bias = "LayerNorm.bias";
    if (name.ends_with(weight)) return name.substr(0, name.size() - 6) + "gamma";
    if (name.ends_with(bias)) return name.substr(0, name.size() - 4) + "beta";
    return name == "cls.predictions.bias" ? "cls.predictions.decoder.bias" : name;
  });
  rewrite(bert, [](auto& arrays) {
    arrays.push_back({"bert.pooler.dense.bias", "F32", {2}, std::string(8, '\0')});
  });
  CollectedLog collected;
  EXPECT_EQ(logits(bert, collected.log), want_);
  EXPECT_EQ(collected.text, "");
}

// Although such a model would be saved as another.
TEST_F(PublishedFolder, IsReadAsTheFamilyThatItNames) {
  ModelConfig c = family_config("glm4");
  c.position.get<RopeConfig>().partial_rotary_factor = 1.0;
  EXPECT_EQ(family_for(c).name, "glm4");
  const fs::path glm4 = save(c);
  EXPECT_EQ(logits(glm4), logits());
  EXPECT_EQ(read_model_config(glm4).position.get<RopeConfig>().partial_rotary_factor, 1.0);
  const fs::path phi3 = save(family_config("phi3"));
  patch_config(phi3, R"({"rope_scaling": {"type": "linear", "factor": 2.0}})");
  const auto loaded = load_model(phi3, {});
  EXPECT_EQ(family_for(loaded->config()).name, "llama");
  EXPECT_EQ(loaded->config().position.get<RopeConfig>().scaling.factor, 2.0);
}

}  // namespace
}  // namespace lathe::testing
