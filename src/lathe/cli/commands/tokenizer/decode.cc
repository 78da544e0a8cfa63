#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct DecodeCommandOptions {
  std::string tokenizer, input, out;
  bool skip_special = false;
  std::optional<std::string> pattern;

  void visit(Visitor& v) {
    v.positional("tokenizer", tokenizer, kTokenizerHelp);
    v.field("input", input, "JSON file with a list of ids", required());
    v.field("out", out, "file for the bytes", required());
    v.field("skip_special", skip_special, "leave out special tokens");
    v.choice("pattern", pattern, names_of(kPreTokenizers),
             "accepted as in encode, but has no effect");
  }
};

std::vector<int32_t> read_ids(const std::string& path) {
  const Json json =
      read_json_file(path, {.values = size_t{1} << 32, .error_kind = ErrorKind::kFormat});
  require(json.is_array(), ErrorKind::kFormat, path, "holds a {}, expected a list of ids",
          json.type_name());
  std::vector<int32_t> ids;
  ids.reserve(json.size());
  for (const Json& id : json) {
    require(id.is_number_integer() && id >= 0 && id <= INT32_MAX, ErrorKind::kFormat, path,
            "entry {} is {}, expected an id", ids.size(),
            id.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 40));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

int run_decode(const DecodeCommandOptions& options, CommandContext& context) {
  const Tokenizer tokenizer = load_tokenizer_of(options.tokenizer, options.pattern);
  const std::vector<int32_t> ids = read_ids(options.input);
  AtomicFile file(options.out);
  TextDecoder decoder(tokenizer, {.skip_special = options.skip_special});
  std::string text;
  Progress progress(context.progress, "decoding", static_cast<double>(ids.size()), "ids");
  for (size_t begin = 0; begin < ids.size(); begin += kIdsAtOnce) {
    throw_if_interrupted();
    progress.update(static_cast<double>(begin));
    text.clear();
    for (int32_t id : std::span(ids).subspan(begin, std::min(kIdsAtOnce, ids.size() - begin)))
      decoder.push(id, text);
    file.write(text);
  }
  text.clear();
  decoder.finish(text);
  file.write(text);
  progress.finish();
  const uint64_t bytes = file.size();
  file.commit(throw_if_interrupted);
  if (context.json)
    context.print_json({{"tokens", ids.size()}, {"bytes", bytes}, {"out", options.out}});
  return 0;
}

}  // namespace

Command tokenizer_decode_command() {
  return make_command<DecodeCommandOptions>(
      {.name = "decode",
       .summary = "token ids to bytes",
       .help = "  lathe tokenizer decode runs/tok --input ids.json --out book.txt\n"},
      run_decode);
}

}  // namespace lathe
