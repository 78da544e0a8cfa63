// Models as GGUF files: types and their costs, damage.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <numbers>

#include "lathe/io/gguf_writer.h"
#include "lathe/model/divergence.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/gguf/budget.h"
#include "lathe/model/gguf/encode_tensor.h"
#include "lathe/model/gguf/gguf_model.h"
#include "lathe/ops/quantized_matrix.h"
#include "model/gguf_testing.h"

namespace lathe::testing {
namespace {

TEST_F(Gguf, TypesFollowTheRules) {
  const auto model = make_model(wide_config(), DType::kF32, Device::kCpu);
  const auto tensors = map_weights(*model, find_gguf_architecture("llama", "f"));
  const auto types = [&](const TypeChoice& choice) {
    std::map<std::string, std::string> out;
    for (const TypedTensor& t : choose_types(tensors, choice))
      out[t.tensor->name] = std::string(t.type->name) + (t.is_fallback ? "!" : "");
    return out;
  };
  const BlockType& q4 = *find_block_type("Q4_0");
  auto usual = types({&q4});
  EXPECT_EQ(usual["blk.0.attn_norm.weight"], "F32");
  EXPECT_EQ(usual["blk.0.ffn_up.weight"], "Q4_0");
  EXPECT_EQ(usual["output.weight"], "Q8_0!");  // Q6_K needs rows of 256
  EXPECT_EQ(types({&q4, true})["output.weight"], "Q4_0");
  EXPECT_EQ(types({find_block_type("Q4_K"), true})["blk.0.ffn_up.weight"], "Q5_0!");
  TypeChoice over{&q4};
  over.overrides = {{"ffn_", find_block_type("Q5_1")}, {"ffn_down", find_block_type("F16")}};
  EXPECT_EQ(types(over)["blk.1.ffn_up.weight"], "Q5_1");
  EXPECT_EQ(types(over)["blk.1.ffn_down.weight"], "F16");
  EXPECT_EQ(types(over)["blk.1.attn_q.weight"], "Q4_0");
  const DiskTensor router{"blk.0.ffn_gate_inp.weight", Shape{4, 32}, false, {}};
  EXPECT_TRUE(stays_f32(router));
  EXPECT_TRUE(stays_f32({"enc.blk.0.attn_rel_b.weight", Shape{32, 32}, false, {}}));
  TypeChoice budget;
  EXPECT_EQ(choose_types({router}, budget).front().type->name, "F32");
  over.overrides = {{"nowhere", &q4}};
  EXPECT_NE(error_text([&] { types(over); }).find("is in the name of no tensor"),
            std::string::npos);
  over.overrides = {{"ffn_up", find_block_type("Q4_K")}};
  EXPECT_NE(error_text([&] { types(over); }).find("no multiple of the 256"), std::string::npos);
  over.overrides = {{"(", &q4}};
  EXPECT_FALSE(error_text([&] { types(over); }).empty());
}

TEST_F(Gguf, RmseIsThatOfTheDecodedTensor) {
  const fs::path path = write(wide_config(), "Q4_0");
  const auto back = load_model(path, {});
  for (const WrittenTensor& t : written_) {
    if (t.name != "output.weight") continue;
    const auto a = values_of(find_parameter(*model_, "head.weight").value.tensor());
    const auto b = values_of(find_parameter(*back, "head.weight").value.tensor());
    double squares = 0;
    for (size_t i = 0; i < a.size(); ++i) squares += std::pow(double{a[i]} - double{b[i]}, 2);
    EXPECT_NEAR(t.rmse, std::sqrt(squares / static_cast<double>(a.size())), 1e-9);
    EXPECT_GT(t.rmse, 0);
  }
}

TEST_F(Gguf, PlannedSizeIsTheSize) {
  for (const char* type : {"F32", "Q4_0", "Q8_0"}) {
    const fs::path path = write(wide_config(), type);
    EXPECT_EQ(planned_gguf_bytes(*model_, folder_ / "y.gguf",
                                 {.types = {find_block_type(type), true}, .from = "m"}),
              static_cast<int64_t>(fs::file_size(path)));
  }
  EXPECT_FALSE(fs::exists(folder_ / "y.gguf"));
}

TEST_F(Gguf, NumbersThatCannotBeWrittenAreNamed) {
  const auto model = make_model(wide_config(), DType::kF32, Device::kCpu);
  Tensor& down =
      const_cast<Tensor&>(find_parameter(*model, "layers.1.ffn.down.weight").value.tensor());
  down.data<float>()[64 + 3] = std::nanf("");
  const std::string nan = write_error(*model, {find_block_type("Q8_0"), true});
  EXPECT_NE(nan.find("[blk.1.ffn_down.weight] the element at row 1, column 3 is nan"),
            std::string::npos)
      << nan;
  down.data<float>()[64 + 3] = 1e6f;
  const std::string large = write_error(*model, {find_block_type("F16"), true});
  EXPECT_NE(large.find("choose BF16 or F32"), std::string::npos) << large;
  // The advice works.
  TypeChoice choice{find_block_type("F16"), true};
  choice.overrides = {{"blk.1.ffn_down", find_block_type("BF16")}};
  EXPECT_EQ(write_error(*model, choice), "no error");
}

// Packed weights are the file's, and products on them are nearly those of their elements. Each token
// has all experts, so that rounding does not decide between two.
TEST_F(Gguf, NativeWeightsAreTheFiles) {
  for (const char* family : {"llama", "mixtral", "qwen2_moe", "qwen3_moe"}) {
    SCOPED_TRACE(family);
    ModelConfig c = wide_config(family);
    if (c.moe.enabled()) c.moe.num_experts_per_tok = c.moe.num_experts;
    for (const char* type : {"Q8_0", "Q4_1"}) {
      const fs::path path = write(c, type);
      const auto decoded = load_model(path, {});
      const auto native = load_for_inference(path, DType::kF32, {}, QuantisedWeights::kNative);
      for (const Parameter* p : native->parameters()) {
        ASSERT_EQ(p->value.packed() != nullptr, p->rounds()) << p->name;
        if (!p->rounds()) continue;
        EXPECT_EQ(values_of(p->value.packed()->dense(DType::kF32)),
                  values_of(find_parameter(*decoded, p->name).value.tensor()))
            << p->name;
      }
      const Tensor want = logits_of(*decoded, some_ids(2, 9)),
                   got = logits_of(*native, some_ids(2, 9));
      EXPECT_LE(largest_difference(got, want), 0.1 * largest_magnitude(want)) << type;
      EXPECT_GT(largest_difference(got, want), 0) << type;
    }
  }
}

// Who else is in the batch decides how many rows an expert has, not what it makes of one.
TEST_F(Gguf, NativeExpertsDoNotSeeTheBatch) {
  for (const char* type : {"Q8_0", "Q5_1"}) {
    const fs::path path = write(wide_config("qwen3_moe"), type);
    const auto model = load_for_inference(path, DType::kF32, {}, QuantisedWeights::kNative);
    const Tensor ids = some_ids(7, 9), all = logits_of(*model, ids);
    const int64_t rows = all.numel() / all.size(-1) / 7;
    for (int64_t b = 0; b < 7; ++b)
      EXPECT_EQ(logits_of(*model, ids.narrow(0, b, 1)).to_vector(),
                all.reshape({7 * rows, all.size(-1)}).narrow(0, b * rows, rows).to_vector())
          << type << b;
  }
}

TEST_F(Gguf, DamageIsNamed) {
  const fs::path path = write(wide_config(), "F32");
  const auto changed = [&](const std::function<void(std::string&)>& change) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    change(bytes);
    std::ofstream(folder_ / "damaged.gguf", std::ios::binary) << bytes;
    return load_error(folder_ / "damaged.gguf");
  };
  const auto replace = [&](const std::string& what, const std::string& with) {
    return changed([&](std::string& bytes) { bytes.replace(bytes.find(what), what.size(), with); });
  };
  EXPECT_NE(replace("blk.1.attn_q", "blk.9.attn_q").find("'blk.1.attn_q.weight' is missing"),
            std::string::npos);
  EXPECT_NE(replace("token_embd", "token_ambd").find("no tensor 'token_embd.weight'"),
            std::string::npos);
  EXPECT_NE(changed([](std::string& bytes) { bytes.clear(); }).find("is not a GGUF file"),
            std::string::npos);
  const std::string name = "\x05" + std::string(7, '\0') + "llama";
  EXPECT_NE(replace(name, "\x05" + std::string(7, '\0') + "xlama").find("\"xlama\""),
            std::string::npos);
  const auto with = [&](const std::string& key, uint32_t number) {
    return changed([&](std::string& bytes) {
      std::memcpy(bytes.data() + bytes.find(key) + key.size() + 4, &number, sizeof number);
    });
  };
  EXPECT_NE(with("llama.block_count", 0xFFFFFFFFu).find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(with("llama.block_count", 3).find("is missing"), std::string::npos);
  EXPECT_NE(with("llama.attention.key_length", 30).find("another key says that head_dim"),
            std::string::npos);
}

TEST_F(Gguf, AModelDivergesFromItselfByNothing) {
  const auto model = make_model(wide_config(), DType::kF32, Device::kCpu);
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 23; ++i) text.push_back(i % static_cast<int32_t>(kVocabulary));
  const Divergence d = divergence(*model, *model, text, {.window = 8});
  EXPECT_EQ(d.windows, 3);
  EXPECT_EQ(d.tokens, 7 + 7 + 6);
  EXPECT_NEAR(d.kl_mean, 0, 1e-9);
  EXPECT_EQ(d.top1_agreement, 1);
  EXPECT_EQ(d.perplexity, d.perplexity_original);
  EXPECT_NE(error_text([&] {
              divergence(*model, *model, {text.data(), 1});
            }).find("at least 2"),
            std::string::npos);
}

// Against the formulas in double.
TEST_F(Gguf, DivergenceIsThatOfTheFormulas) {
  const fs::path path = write(wide_config(), "Q4_0");
  const auto other = load_model(path, {});
  const std::vector<int32_t> text = {1, 5, 2, 7, 3, 3, 8, 4, 6};
  const Tensor p = next_token_logits(*model_, text), q = next_token_logits(*other, text);
  const int64_t vocabulary = p.size(1);
  double kl = 0, nll = 0;
  for (int64_t t = 0; t < p.size(0); ++t) {
    const float *a = p.data<float>() + t * vocabulary, *b = q.data<float>() + t * vocabulary;
    double sum_a = 0, sum_b = 0;
    for (int64_t v = 0; v < vocabulary; ++v) {
      sum_a += std::exp(double{a[v]});
      sum_b += std::exp(double{b[v]});
    }
    for (int64_t v = 0; v < vocabulary; ++v) {
      const double log_p = a[v] - std::log(sum_a), log_q = b[v] - std::log(sum_b);
      kl += std::exp(log_p) * (log_p - log_q);
    }
    nll -= b[text[static_cast<size_t>(t) + 1]] - std::log(sum_b);
  }
  const Divergence d = divergence(*model_, *other, text);
  const auto n = static_cast<double>(p.size(0));
  EXPECT_NEAR(d.kl_mean, kl / n, 1e-6 * kl / n + 1e-9);
  EXPECT_NEAR(d.perplexity, std::exp(nll / n), 1e-6 * d.perplexity);
  EXPECT_NEAR(mean_divergence(p, q), d.kl_mean, 1e-12);
}

TEST_F(Gguf, CalibrationIsTheMeanSquareOfInputs) {
  const auto model = make_model(wide_config(), DType::kF32, Device::kCpu);
  std::vector<int32_t> text(20);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<int32_t>(i * 7 % kVocabulary);
  const Importances got = calibrate(*model, text, {.window = 8});
  // The head's input is the hidden states; the 4 tokens after the last whole window do not count.
  std::vector<double> squares(64);
  for (size_t window = 0; window < 2; ++window) {
    ModelPass pass(*model, Pass{});
    const auto first = text.begin() + static_cast<ptrdiff_t>(8 * window);
    const Tensor hidden = pass.hidden({.rows = Rows::of(IdRows{{first, first + 8}})}).value;
    for (int64_t i = 0; i < hidden.numel(); ++i)
      squares[static_cast<size_t>(i % 64)] += std::pow(double{hidden.data<float>()[i]}, 2) / 16;
  }
  const auto& head = got.at("output.weight");
  ASSERT_EQ(head.size(), 64u);
  for (size_t c = 0; c < 64; ++c) EXPECT_NEAR(head[c], squares[c], 1e-5 * squares[c]);
  EXPECT_EQ(got.at("blk.0.attn_q.weight"), got.at("blk.0.attn_v.weight"));
  EXPECT_FALSE(got.contains("token_embd.weight"));
  EXPECT_NE(error_text([&] { calibrate(*model, text, {.window = 21}); }).find("give a longer one"),
            std::string::npos);
}

TEST_F(Gguf, ImatrixFilesOfBothKindsAreRead) {
  const std::vector<float> sums = {2, 4, 6, 8, 0, 0, 0, 0}, counts = {2, 0};
  {
    GgufWriter writer(folder_ / "i.gguf");
    writer.add_text("general.type", "imatrix");
    writer.announce("blk.0.ffn_up_exps.weight.in_sum2", "F32", std::array<int64_t, 2>{2, 4});
    writer.announce("blk.0.ffn_up_exps.weight.counts", "F32", std::array<int64_t, 2>{2, 1});
    writer.write(std::as_bytes(std::span(sums)));
    writer.write(std::as_bytes(std::span(counts)));
    writer.commit();
  }
  EXPECT_EQ(read_imatrix(folder_ / "i.gguf").at("blk.0.ffn_up_exps.weight"),
            (std::vector<float>{1, 2, 3, 4, 1, 1, 1, 1}));
  std::string list;
  const auto put = [&](int32_t x) { list.append(reinterpret_cast<const char*>(&x), sizeof x); };
  put(1);
  put(1);
  list += "a";
  put(2);
  put(2);
  list.append(reinterpret_cast<const char*>(sums.data()), 2 * sizeof(float));
  const auto read_list = [&](const std::string& bytes) {
    std::ofstream(folder_ / "i.dat", std::ios::binary) << bytes;
    return read_imatrix(folder_ / "i.dat");
  };
  EXPECT_EQ(read_list(list).at("a"), (std::vector<float>{1, 2}));
  for (size_t cut = 0; cut < list.size(); ++cut)
    EXPECT_FALSE(error_text([&] { read_list(list.substr(0, cut)); }).empty()) << cut;
  std::string huge = list;
  const int32_t count = 0x7FFFFFFF;
  std::memcpy(huge.data() + 13, &count, sizeof count);
  EXPECT_NE(error_text([&] { read_list(huge); }).find("ends within values"), std::string::npos);
}

TEST(SizeCurve, SpendsBytesWhereTheyBringMost) {
  const BlockType *a = find_block_type("Q4_0"), *b = find_block_type("Q8_0"),
                  *c = find_block_type("F16");
  const auto curve = size_curve(
      {{"x", {{a, 10, 8.0}, {b, 20, 2.0}, {c, 40, 0.0}}}, {"y", {{a, 10, 1.0}, {b, 20, 0.5}}}});
  ASSERT_EQ(curve.size(), 4u);
  EXPECT_EQ(curve[0].bytes, 20);
  EXPECT_EQ(curve[0].kl, 9);
  EXPECT_EQ(curve[1].types.at("x"), b);  // 0.6 for a byte
  EXPECT_EQ(curve[2].types.at("x"), c);  // 0.1
  EXPECT_EQ(curve[2].types.at("y"), a);
  EXPECT_EQ(curve[3].types.at("y"), b);  // 0.05
  EXPECT_EQ(curve[3].bytes, 60);
  EXPECT_EQ(curve[3].kl, 0.5);
}

TEST_F(Gguf, CostsPutTheModelBackAndFallWithTheSize) {
  const auto model = make_model(wide_config(), DType::kF32, Device::kCpu);
  const auto tensors = map_weights(*model, find_gguf_architecture("llama", "f"));
  std::vector<std::vector<float>> before;
  for (const Parameter* p : model->parameters()) before.push_back(values_of(p->value.tensor()));
  std::vector<int32_t> text(40);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<int32_t>(i * 5 % kVocabulary);
  const auto costs = measure_costs(*model, tensors, text, {.window = 16, .windows = 2});
  EXPECT_EQ(costs.size(), 2u + 2u * 7u);
  for (const TensorCosts& tensor : costs) {
    ASSERT_GE(tensor.types.size(), 2u) << tensor.name;
    EXPECT_GT(tensor.types.front().kl, 0) << tensor.name;
    for (size_t i = 1; i < tensor.types.size(); ++i) {
      EXPECT_GT(tensor.types[i].bytes, tensor.types[i - 1].bytes);
      EXPECT_LT(tensor.types[i].kl, tensor.types[i - 1].kl);
    }
  }
  size_t i = 0;
  for (const Parameter* p : model->parameters())
    EXPECT_EQ(values_of(p->value.tensor()), before[i++]) << p->name;
}

}  // namespace
}  // namespace lathe::testing
