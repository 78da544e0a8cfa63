#include "lathe/serve/api/block_writer.h"

#include <utility>

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using Kind = AnswerBlock::Kind;

}  // namespace

Json arguments_of(const AnswerBlock& call) {
  Json parsed = Json::parse(call.text, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? parsed : Json::object();
}

Json turn_of(const std::vector<AnswerBlock>& blocks) {
  Json turn = {{"role", "assistant"}, {"content", ""}};
  for (const AnswerBlock& block : blocks) {
    if (block.kind == Kind::kText)
      turn["content"] = turn["content"].get<std::string>() + block.text;
    else if (block.kind == Kind::kThought)
      turn["reasoning_content"] = block.text;
    else
      turn["tool_calls"].push_back(
          {{"id", block.id},
           {"type", "function"},
           {"function", {{"name", block.name}, {"arguments", arguments_of(block)}}}});
  }
  return turn;
}

void BlockWriter::begin_once() {
  if (!std::exchange(begun_, true) && streams_) begin();
}

void BlockWriter::close_last() {
  if (streams_ && !blocks_.empty()) close(blocks_.back());
}

void BlockWriter::begin_block(Kind kind, std::string name) {
  close_last();
  blocks_.push_back({kind, blocks_.size(), id_of(kind), std::move(name), {}});
  if (streams_) open(blocks_.back());
}

void BlockWriter::take(const std::vector<AnswerPart>& parts) {
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::kCallName) {
      begin_block(Kind::kCall, part.text);
      continue;
    }
    const Kind kind = part.kind == AnswerPart::Kind::kThought ? Kind::kThought
                      : part.kind == AnswerPart::Kind::kText  ? Kind::kText
                                                              : Kind::kCall;
    if (blocks_.empty() || blocks_.back().kind != kind) begin_block(kind);
    blocks_.back().text += part.text;
    if (streams_) add(blocks_.back(), part.text);
  }
}

void BlockWriter::token(const AnswerToken& token) {
  begin_once();
  take(token.parts);
}

// Clients look for a first block; an answer without any word has an empty text.
void BlockWriter::end(const AnswerEnd& end) {
  begin_once();
  take(end.parts);
  if (blocks_.empty()) begin_block(Kind::kText);
  close_last();
  end_ = end;
}

void BlockWriter::done(const GenerationUsage& usage) { finish(end_, usage, streams_); }

}  // namespace lathe
