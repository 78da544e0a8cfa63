#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/output_paths.h"
#include "lathe/cli/commands/model/quantize_bill.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/mapped_file.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

struct QuantizeOptions {
  std::string model, out;
  std::optional<std::string> type;
  bool pure = false, error_feedback = false;
  std::vector<std::string> tensor, adapter;
  std::optional<double> budget_mib, budget_kl;
  std::optional<std::string> calibration, imatrix, eval, bill, curve;

  void visit(Visitor& v) {
    v.positional("model", model, kModelHelp);
    v.choice("type", type, writable_block_types(), "type of the matrices");
    v.field("out", out, "GGUF file to write", required());
    v.field("pure", pure,
            "every matrix in --type; without, routers, positions and the output matrix are finer");
    v.field("tensor", tensor,
            "REGEX=TYPE: the type of the tensors in whose names the expression is found");
    v.field("budget_mib", budget_mib,
            "instead of --type: choose each tensor's type for the smallest KL in a file of at most "
            "this size",
            above(0));
    v.field("budget_kl", budget_kl,
            "instead of --type: choose them for the smallest file with at most this mean KL",
            above(0));
    v.field("calibration", calibration,
            "text whose activations say which columns matter; errors are weighed by that");
    v.field("imatrix", imatrix, "the same from a file of llama-imatrix");
    v.field("error_feedback", error_feedback,
            "with --calibration: what rounding a column does to the outputs is made good by the "
            "columns after it (GPTQ), for each tensor where that helps");
    v.field("adapter", adapter,
            "folder of a LoRA adapter that becomes part of the weights first; with --eval the bill "
            "also says what other ways to keep it would cost");
    v.field("eval", eval, "text on which the result is compared with the original");
    v.field("bill", bill, "JSON file for what is printed: errors, bytes, and the comparison");
    v.field("curve", curve, "SVG file for the sizes and their KL that a budget chooses from");
  }

  bool has_budget() const { return budget_mib || budget_kl; }
};

void check(const QuantizeOptions& o) {
  const int ways = (o.type ? 1 : 0) + (o.budget_mib ? 1 : 0) + (o.budget_kl ? 1 : 0);
  require(ways == 1, ErrorKind::kUsage, "quantize",
          "give one of --type, --budget-mib and --budget-kl; {} are given", ways);
  require(!o.has_budget() || !o.pure, ErrorKind::kUsage, "--pure",
          "has no meaning with a budget, which mixes types; leave it out");
  require(!o.has_budget() || o.calibration || o.eval, ErrorKind::kUsage, "quantize",
          "a budget needs a text to measure on; give --calibration TEXT or --eval TEXT");
  require(!o.curve || o.has_budget(), ErrorKind::kUsage, "--curve",
          "is drawn for a budget only; give --budget-mib or --budget-kl, or leave it out");
  require(!o.calibration || !o.imatrix, ErrorKind::kUsage, "--imatrix",
          "and --calibration both say which columns matter; give one of them");
  require(!o.error_feedback || o.calibration, ErrorKind::kUsage, "--error-feedback",
          "needs a text that shows the inputs of each matrix; give --calibration TEXT");
  check_outputs({{"--out", o.out}, {"--bill", o.bill}, {"--curve", o.curve}},
                {{"the model", o.model},
                 {"--calibration", o.calibration},
                 {"--imatrix", o.imatrix},
                 {"--eval", o.eval}});
}

// "ffn_down=Q8_0"
std::pair<std::string, const BlockType*> parse_override(const std::string& text) {
  const size_t at = text.rfind('=');
  require(at != std::string::npos && at > 0, ErrorKind::kUsage, "--tensor",
          "got '{}', expected REGEX=TYPE such as ffn_down=Q8_0", text);
  return {text.substr(0, at), &writable_block_type(text.substr(at + 1))};
}

// One run of the command.
class Quantization {
 public:
  Quantization(const QuantizeOptions& o, CommandContext& context)
      : o_(o), context_(context), model_(load_adapted()) {
    throw_if_interrupted();
    for (const std::string& text : o.tensor)
      options_.types.overrides.push_back(parse_override(text));
    options_.from = o.model;
    options_.log = context.log;
    bill_ = {.type = o.type.value_or("mixed"), .from = o.model, .to = o.out};
  }

  const QuantizeBill& run() {
    if (o_.eval || o_.has_budget()) check_predicts_next_token(model_->config());
    if (o_.eval) {  // a text that cannot be used is named before anything is written
      const size_t tokens = ids_of(*o_.eval).size();
      require(tokens >= 2, ErrorKind::kData, *o_.eval,
              "the text has {} tokens, expected at least 2; give a longer text", tokens);
    }
    if (o_.budget_mib) check_size(*o_.budget_mib);
    weigh_columns();
    if (o_.type) {
      options_.types.type = &writable_block_type(*o_.type);
      options_.types.pure = o_.pure;
      write_and_compare();
    } else {
      choose_by_budget();
    }
    return bill_;
  }

 private:
  std::unique_ptr<Transformer> load_base() {
    // A budget tries types in place and an adapter changes weights: both need memory of their own.
    const bool own = o_.has_budget() || !o_.adapter.empty();
    return load_model(o_.model, {.dtype = DType::kF32,
                                 .residence = own ? Residence::kOwn : Residence::kMapped,
                                 .log = context_.log});
  }

  std::unique_ptr<Transformer> adapted(std::unique_ptr<Transformer> model) {
    std::vector<std::shared_ptr<const Adapter>> adapters;
    for (const std::string& each : o_.adapter)
      adapters.push_back(load_adapter(each, *model, context_.log));
    return merge_adapters(std::move(model), adapters);
  }

  std::unique_ptr<Transformer> load_adapted() { return adapted(load_base()); }

  const std::vector<int32_t>& ids_of(const std::string& path) {
    if (!tokenizer_) tokenizer_.emplace(load_tokenizer(o_.model));
    const auto known = ids_.find(path);
    return known != ids_.end() ? known->second : ids_[path] = tokenizer_->encode(read_file(path));
  }

  std::vector<DiskTensor> tensors() {
    return map_weights(*model_, gguf_architecture_of(model_->config()));
  }

  // A bar, and a function that moves it and lets Ctrl-C through.
  template <class F>
  auto with_progress(const char* label, double total, const char* unit, F&& f) {
    Progress progress(context_.progress, label, total, unit);
    auto result = f([&](int64_t done) {
      throw_if_interrupted();
      progress.update(static_cast<double>(done));
    });
    progress.finish();
    return result;
  }

  void weigh_columns() {
    if (o_.imatrix) {
      importances_ = read_imatrix(*o_.imatrix);
      const auto names = tensors();
      require(std::ranges::any_of(
                  names, [&](const DiskTensor& t) { return importances_->contains(t.name); }),
              ErrorKind::kData, *o_.imatrix,
              "has the columns of '{}' and others, but of none of this model's tensors; make it "
              "from this model",
              importances_->begin()->first);
    }
    if (o_.calibration) {
      const auto& ids = ids_of(*o_.calibration);
      importances_ =
          with_progress("calibrating", static_cast<double>(ids.size()), "tokens",
                        [&](auto report) { return calibrate(*model_, ids, {.progress = report}); });
    }
    if (importances_) options_.importances = &*importances_;
    if (o_.error_feedback) {
      moments_.emplace(*model_, ids_of(*o_.calibration),
                       CalibrationOptions{.progress = [](int64_t) { throw_if_interrupted(); }});
      options_.moments = &*moments_;
    }
  }

  void write(const std::string& path) {
    bill_.tensors = with_progress("quantising", static_cast<double>(model_->parameter_count()), "",
                                  [&](auto report) {
                                    options_.progress = report;
                                    return write_gguf(*model_, path, options_);
                                  });
  }

  // Of another model from the original.
  Divergence compare(const Transformer& other, const std::string& text) {
    const auto& ids = ids_of(text);
    return with_progress("comparing", static_cast<double>(ids.size()), "tokens", [&](auto report) {
      return divergence(*model_, other, ids, {.progress = report});
    });
  }

  Divergence compare(const std::string& path, const std::string& text) {
    return compare(*load_model(path, {.dtype = DType::kF32, .log = context_.log}), text);
  }

  void write_and_compare() {
    write(o_.out);
    if (!o_.eval) return;
    bill_.divergence = compare(o_.out, *o_.eval);
    if (!o_.adapter.empty()) compare_ways();
  }

  // The other ways to keep an adapter: apart from a rounded base, and merged in 16 bits.
  void compare_ways() {
    const Attempt attempt{o_.out + ".attempt"};
    WriteGgufOptions apart = options_;
    apart.moments = nullptr;  // they are those of the adapted model
    apart.progress = [](int64_t) { throw_if_interrupted(); };
    const auto load_attempt = [&] {
      return load_model(attempt.path, {.dtype = DType::kF32, .log = context_.log});
    };
    write_gguf(*load_base(), attempt.path, apart);
    bill_.adapter_ways.emplace_back("apart, on the base in these types",
                                    compare(*adapted(load_attempt()), *o_.eval));
    bill_.adapter_ways.emplace_back("merged, then in these types: this file", *bill_.divergence);
    apart.types = {.type = &writable_block_type("BF16"), .pure = true};
    write_gguf(*model_, attempt.path, apart);
    bill_.adapter_ways.emplace_back("merged in BF16", compare(*load_attempt(), *o_.eval));
  }

  void choose_by_budget() {
    const std::string& text = o_.calibration ? *o_.calibration : *o_.eval;
    const auto all = tensors();
    const auto matrices = std::ssize(all) - std::ranges::count_if(all, stays_f32);
    const auto costs =
        with_progress("measuring", static_cast<double>(matrices), "tensors", [&](auto report) {
          return measure_costs(*model_, all, ids_of(text),
                               {.importances = options_.importances, .progress = report});
        });
    bill_.curve = size_curve(costs);
    if (o_.budget_mib)
      fit_size(*o_.budget_mib);
    else
      fit_kl(*o_.budget_kl, o_.eval ? *o_.eval : text);
    if (o_.curve) write_file_atomically(*o_.curve, draw_curve(bill_));
  }

  void take(size_t point) {
    bill_.chosen = point;
    options_.types.by_name = bill_.curve[point].types;
  }

  double planned_mib() {
    return static_cast<double>(planned_gguf_bytes(*model_, o_.out, options_)) / (1 << 20);
  }

  // Before anything is measured.
  void check_size(double budget_mib) {
    options_.types.by_name = smallest_types(tensors());
    const double smallest = planned_mib();
    require(smallest <= budget_mib, ErrorKind::kUsage, "--budget-mib",
            "the smallest file that the types allow has {:.2f} MiB; ask for at least that",
            std::ceil(smallest * 100) / 100);  // rounded up, so that what it says is enough
  }

  void fit_size(double budget_mib) {
    // Sizes grow along the curve: the last that fits, by halving.
    size_t fits = 0, end = bill_.curve.size();
    while (end - fits > 1) {
      const size_t middle = fits + (end - fits) / 2;
      take(middle);
      (planned_mib() <= budget_mib ? fits : end) = middle;
    }
    take(fits);
    write_and_compare();
  }

  // What is measured differs from what the curve predicts, so that it is aimed at anew until it fits.
  // Only a file that does takes the place of what is at --out.
  void fit_kl(double most, const std::string& text) {
    const Attempt attempt{o_.out + ".attempt"};
    double aim = most, least = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kAttempts; ++i) {
      const auto point =
          std::ranges::find_if(bill_.curve, [&](const BudgetPoint& p) { return p.kl <= aim; });
      const bool is_last = point == bill_.curve.end();
      take(static_cast<size_t>((is_last ? point - 1 : point) - bill_.curve.begin()));
      write(attempt.path);
      bill_.divergence = compare(attempt.path, text);
      const double kl = bill_.divergence->kl_mean;
      if (kl <= most) return std::filesystem::rename(attempt.path, o_.out);
      least = std::min(least, kl);
      if (is_last) break;
      aim *= std::min(0.9, 0.95 * most / kl);
    }
    fail(ErrorKind::kUsage, "--budget-kl",
         "a mean KL of {} is not met: the best that was tried has {:.3g}; ask for at least that",
         most, least);
  }

  // A file that is removed unless it was renamed.
  struct Attempt {
    std::string path;
    explicit Attempt(std::string p) : path(std::move(p)) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  };

  static constexpr int kAttempts = 6;

  const QuantizeOptions& o_;
  CommandContext& context_;
  std::unique_ptr<Transformer> model_;
  std::optional<Tokenizer> tokenizer_;
  std::map<std::string, std::vector<int32_t>> ids_;  // of the texts, by path
  std::optional<Importances> importances_;
  std::optional<InputMoments> moments_;
  WriteGgufOptions options_;
  QuantizeBill bill_;
};

int run_quantize(const QuantizeOptions& o, CommandContext& context) {
  check(o);
  Quantization quantization(o, context);
  const QuantizeBill& bill = quantization.run();
  const auto json = json_of(bill);
  if (o.bill) write_json_file(*o.bill, json);
  if (context.json) {
    context.print_json(json);
  } else {
    print(bill, context.out);
  }
  return 0;
}

}  // namespace

Command quantize_command() {
  return make_command<QuantizeOptions>(
      {.name = "quantize",
       .summary = "write a model as a GGUF file with fewer bits per weight",
       .help =
           "llama.cpp and every command of Lathe that takes a model folder read the file, which\n"
           "also holds the tokenizer and the chat template. The bill says what was lost:\n"
           "docs/quantisation.md explains it and the types.\n\n"
           "  lathe quantize runs/demo/model --type Q8_0 --out demo.gguf --eval book.txt\n"
           "  lathe quantize runs/demo/model --type Q4_0 --tensor ffn_down=Q8_0 --out "
           "demo.gguf\n"
           "  lathe quantize runs/demo/model --budget-mib 1.2 --calibration book.txt --out "
           "demo.gguf\n"
           "  lathe quantize demo.gguf --type F32 --out plain.gguf\n"},
      run_quantize);
}

}  // namespace lathe
