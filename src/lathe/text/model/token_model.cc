#include "lathe/text/model/token_model.h"

#include "lathe/base/error.h"

namespace lathe {
namespace {

[[noreturn]] void fail_one_segmentation(std::string_view wanted, std::string_view type,
                                        std::string_view model) {
  fail(ErrorKind::kUsage, "tokenizer", "{} needs a {} model; this tokenizer is {}", wanted, model,
       type);
}

}  // namespace

std::vector<TokenModel::Segmentation> TokenModel::nbest(std::string_view, int64_t) const {
  fail_one_segmentation("a list of the best segmentations", type(), "Unigram");
}

std::vector<int32_t> TokenModel::sample(std::string_view, double, const Rng&) const {
  fail_one_segmentation("drawing segmentations", type(), "Unigram");
}

std::vector<int32_t> TokenModel::encode_with_dropout(std::string_view, double, const Rng&) const {
  fail_one_segmentation("dropout of merges", type(), "BPE");
}

std::vector<TokenModel::LatticePiece> TokenModel::lattice(std::string_view) const {
  fail_one_segmentation("a lattice", type(), "Unigram");
}

std::optional<TokenModel::Weight> TokenModel::weight_of(int32_t) const { return std::nullopt; }

}  // namespace lathe
