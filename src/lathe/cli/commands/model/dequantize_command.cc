#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/output_paths.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/gguf.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

struct DequantizeOptions {
  std::string file, out;

  void visit(Visitor& v) {
    v.positional("file", file, "GGUF file");
    v.field("out", out, "safetensors file to write", required());
  }
};

int run_dequantize(const DequantizeOptions& o, CommandContext& context) {
  check_outputs({{"--out", o.out}}, {{"the file", o.file}});
  const auto file = std::make_shared<GgufReader>(o.file);
  std::vector<SafetensorsWriter::Announced> announced;
  for (const ArraySpan& array : file->arrays()) {
    stored_dtype(array);  // that it can be read is checked before anything is written
    announced.push_back({array.name, "F32", array.shape});
  }
  SafetensorsWriter writer(o.out, announced, {{"format", "pt"}});
  for (const ArraySpan& array : file->arrays()) {
    throw_if_interrupted();
    const Tensor values = stored_tensor(array, file).to(DType::kF32);
    writer.write({values.raw(), values.bytes()});
  }
  writer.commit();
  if (context.json) {
    context.print_json({{"out", o.out}, {"tensors", announced.size()}});
  } else {
    context.log.info("wrote {} tensors to {}", announced.size(), o.out);
  }
  return 0;
}

}  // namespace

Command dequantize_command() {
  return make_command<DequantizeOptions>(
      {.name = "dequantize",
       .summary = "write the tensors of a GGUF file as fp32",
       .help =
           "Every tensor under its name in the file, row-major. For a model that other programs "
           "read,\nsee `lathe export`.\n\n"
           "  lathe dequantize model.gguf --out model.safetensors\n"},
      run_dequantize);
}

}  // namespace lathe
