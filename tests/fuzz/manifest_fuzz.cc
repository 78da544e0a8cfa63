#include "fuzz/fuzz.h"
#include "io/temp_folder.h"
#include "lathe/io/manifest.h"

namespace lathe::fuzz {

// What is accepted can be written, and is the same when it is read again.
void check(std::string_view bytes) {
  static const TempFolder folder;
  const Manifest manifest = read_manifest(folder.write("f.json", bytes));
  write_manifest(folder / "again.json", manifest);
  const Manifest again = read_manifest(folder / "again.json");
  promise(again.kind == manifest.kind && again.seed == manifest.seed &&
          again.inputs.size() == manifest.inputs.size() &&
          again.outputs.size() == manifest.outputs.size());
}

std::vector<Seed> seeds() {
  const TempFolder folder;
  Manifest manifest = new_manifest("model", "lathe train r.toml");
  manifest.seed = 3;
  manifest.recipe = R"({"train": {"steps": 7}})";
  manifest.facts = R"({"tokens": 12})";
  add_input(manifest, folder.write("text.txt", "one"), "text");
  add_output(manifest, folder.write("out.bin", "two"), "shard");
  write_manifest(folder / "m.json", manifest);
  return {{"both", content_of(folder / "m.json")}};
}

}  // namespace lathe::fuzz
