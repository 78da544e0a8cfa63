#include "lathe/text/decode/decoder.h"

#include <algorithm>
#include <array>

#include "lathe/text/decode/step.h"

namespace lathe {
namespace {

using text_json::Json;

void add_steps(const Json& json, const DecoderSteps& to) {
  text_json::check_depth(to.depth, "decoder", to.origin);
  const std::string type = text_json::type_of(json, "decoder", to.origin);
  for (const DecoderEntry& entry : kDecoders)
    if (entry.name == type) return entry.make(json, to);
  fail_unknown_name(ErrorKind::kFormat, fmt::format("{}: decoder", to.origin), type,
                    names_of(kDecoders));
}

void make_sequence(const Json& json, const DecoderSteps& to) {
  for (const Json& part : text_json::get_array(json, "decoders", to.origin))
    add_steps(part, {to.origin, to.steps, to.depth + 1});
}

constexpr std::string_view kSentencePiece = "Kudo and Richardson 2018, arXiv:1808.06226";

constexpr std::array kTable = {
    DecoderEntry{"ByteLevel", "characters of the byte alphabet as bytes", "Radford et al. 2019",
                 make_byte_level_decoder},
    DecoderEntry{"Metaspace", "visible spaces as spaces, none before the first token",
                 kSentencePiece, make_metaspace_decoder},
    DecoderEntry{"ByteFallback", "tokens like <0x61> as bytes", kSentencePiece,
                 make_byte_fallback_decoder},
    DecoderEntry{"Fuse", "all tokens as one", "", make_fuse_decoder},
    DecoderEntry{"Replace", "a string or what an expression matches becomes another string", "",
                 make_replace_decoder},
    DecoderEntry{"Strip", "a character dropped at the ends of each token, up to a number", "",
                 make_strip_decoder},
    DecoderEntry{"WordPiece", "a space before every token that does not continue a word",
                 "Devlin et al. 2018, arXiv:1810.04805", make_wordpiece_decoder},
    DecoderEntry{"BPEDecoder", "a space for each end of a word",
                 "Sennrich et al. 2015, "
                 "arXiv:1508.07909",
                 make_bpe_decoder},
    DecoderEntry{"CTC", "repetitions and padding dropped", "Graves et al. 2006", make_ctc_decoder},
    DecoderEntry{"Sequence", "several, one after the other", "", make_sequence},
};

// The end of every chain.
class Output : public DecodeStage {
 public:
  Output() : DecodeStage(nullptr) {}
  void push(std::string_view text) override { out->append(text); }
  void finish() override {}
  bool steady() const override { return true; }
  std::string* out = nullptr;  // of the call that runs
};

}  // namespace

const std::span<const DecoderEntry> kDecoders = kTable;

Decoder::Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

Decoder Decoder::from_json(const Json& json, std::string_view origin) {
  Decoder decoder;
  if (json.is_null()) {
    decoder.steps_.push_back(join_with_spaces());
  } else {
    add_steps(json, {origin, decoder.steps_});
  }
  const Steps& steps = decoder.steps_;
  if (steps.size() > kMaxSteps)
    text_json::bad(origin, "the decoder has {} steps, expected at most {}", steps.size(),
                   kMaxSteps);
  bool fused = false;
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool last = i + 1 == steps.size();
    decoder.places_.push_back({fused, fused || last || steps[i + 1]->ignores_borders()});
    fused = fused || steps[i]->fuses();
  }
  return decoder;
}

std::string Decoder::text_in_the_middle(std::string_view token) const {
  std::string text(token);
  for (size_t i = 0; i < steps_.size(); ++i)
    text = steps_[i]->in_the_middle(text, places_[i].fused);
  return text;
}

bool Decoder::token_local() const {
  for (size_t i = 0; i < steps_.size(); ++i)
    if (!steps_[i]->token_local(places_[i])) return false;
  return true;
}

struct Decoder::Stream::Chain {
  Output output;
  std::vector<std::unique_ptr<DecodeStage>> stages;  // the last one first
  bool token_local = false;

  DecodeStage* first() { return stages.empty() ? &output : stages.back().get(); }
  void add(std::unique_ptr<DecodeStage> stage) { stages.push_back(std::move(stage)); }
};

Decoder::Stream::Stream(const Decoder& decoder) : chain_(std::make_unique<Chain>()) {
  chain_->token_local = decoder.token_local();
  for (size_t i = decoder.steps_.size(); i-- > 0;) {
    const DecodeStep& step = *decoder.steps_[i];
    const DecodePlace place = decoder.places_[i];
    if (auto stage = place.fused ? step.fused_stage(chain_->first()) : nullptr) {
      chain_->add(std::move(stage));
      continue;
    }
    chain_->add(step.stage(place.joined, chain_->first()));
    if (place.fused) chain_->add(collect_stage(chain_->first()));
  }
}

Decoder::Stream::~Stream() = default;
Decoder::Stream::Stream(Stream&&) noexcept = default;

void Decoder::Stream::push(std::string_view token, std::string& out) {
  chain_->output.out = &out;
  chain_->first()->push(token);
}

void Decoder::Stream::finish(std::string& out) {
  chain_->output.out = &out;
  chain_->first()->finish();
}

bool Decoder::Stream::steady() const {
  return chain_->token_local && std::all_of(chain_->stages.begin(), chain_->stages.end(),
                                            [](const auto& stage) { return stage->steady(); });
}

}  // namespace lathe
