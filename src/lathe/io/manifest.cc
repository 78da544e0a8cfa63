#include "lathe/io/manifest.h"

#include <chrono>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/io/hash.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr const char* kFolderManifest = "lathe.manifest.json";
constexpr const char* kSuffix = ".manifest.json";

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Json refs_to_json(const std::vector<ArtefactRef>& refs) {
  Json list = Json::array();
  for (const auto& ref : refs)
    list.push_back({{"path", ref.path},
                    {"relative_path", ref.relative_path},
                    {"kind", ref.kind},
                    {"hash", ref.hash}});
  return list;
}

class ManifestReader {
 public:
  ManifestReader(const Json& tree, std::string where) : tree_(tree), where_(std::move(where)) {
    require(tree.is_object() && tree.contains("lathe_manifest"), ErrorKind::kFormat, where_,
            "is not a lathe manifest (it has no key 'lathe_manifest')");
  }
  std::string text(const Json& node, const char* key) const {
    const auto it = node.find(key);
    if (it == node.end()) return "";
    require(it->is_string(), ErrorKind::kFormat, where_, "'{}' is not a string", key);
    return it->get<std::string>();
  }
  std::string text(const char* key) const { return text(tree_, key); }
  std::string json_text(const char* key) const {
    const auto it = tree_.find(key);
    return it == tree_.end() || it->is_null() ? std::string() : it->dump();
  }
  std::vector<ArtefactRef> refs(const char* key) const {
    std::vector<ArtefactRef> list;
    const auto it = tree_.find(key);
    if (it == tree_.end()) return list;
    require(it->is_array(), ErrorKind::kFormat, where_, "'{}' is not a list", key);
    for (const auto& entry : *it) {
      require(entry.is_object(), ErrorKind::kFormat, where_,
              "'{}' holds something that is not an object", key);
      require(!text(entry, "path").empty(), ErrorKind::kFormat, where_,
              "'{}' holds an artefact without a path", key);
      list.push_back({text(entry, "path"), text(entry, "relative_path"), text(entry, "kind"),
                      text(entry, "hash")});
    }
    return list;
  }

 private:
  const Json& tree_;
  std::string where_;
};

ArtefactRef make_ref(const fs::path& path, std::string_view kind) {
  return {path.string(), "", std::string(kind), hash_artefact(path)};
}

bool artefact_exists(const fs::path& path) {
  std::error_code error;
  if (fs::exists(path, error)) return true;
  fs::path bin = path;
  bin += ".bin";
  return fs::exists(bin, error);
}

}  // namespace

std::string lathe_version() { return LATHE_VERSION; }

fs::path manifest_path(const fs::path& artefact, bool is_folder) {
  if (is_folder) return artefact / kFolderManifest;
  fs::path path = artefact;
  path += kSuffix;
  return path;
}

std::optional<fs::path> find_manifest(const fs::path& path) {
  std::error_code error;
  const bool is_folder = fs::is_directory(path, error);
  const fs::path own = manifest_path(path, is_folder);
  if (fs::exists(own, error)) return own;
  if (is_folder) return std::nullopt;
  if (path.extension() == ".bin" || path.extension() == ".idx") {
    const fs::path prefix = path.parent_path() / path.stem();
    if (fs::exists(manifest_path(prefix, false), error)) return manifest_path(prefix, false);
  }
  const fs::path above = manifest_path(path.parent_path(), true);
  if (!fs::exists(above, error)) return std::nullopt;
  for (const auto& output : read_manifest(above).outputs)
    if (output.relative_path == path.filename().generic_string()) return above;
  return std::nullopt;
}

Manifest new_manifest(std::string_view kind, std::string_view command) {
  Manifest manifest;
  manifest.kind = kind;
  manifest.command = command;
  manifest.version = lathe_version();
  manifest.created = utc_now();
  manifest.cpu = cpu_model();
  manifest.threads = thread_count();
  return manifest;
}

void add_input(Manifest& manifest, const fs::path& path, std::string_view kind) {
  manifest.inputs.push_back(make_ref(path, kind));
}

void add_output(Manifest& manifest, const fs::path& path, std::string_view kind) {
  manifest.outputs.push_back(make_ref(path, kind));
}

void add_outputs_of_folder(Manifest& manifest, const fs::path& folder) {
  std::vector<ArtefactRef> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == kFolderManifest) continue;
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    found.push_back({name, name, "file", hash_file(entry.path())});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  manifest.outputs.insert(manifest.outputs.end(), found.begin(), found.end());
}

void write_manifest(const fs::path& path, Manifest manifest, const fs::path& final_path) {
  const fs::path folder = fs::absolute(final_path.empty() ? path : final_path).parent_path();
  for (auto* refs : {&manifest.inputs, &manifest.outputs})
    for (auto& ref : *refs)
      if (ref.relative_path.empty())
        ref.relative_path = fs::absolute(ref.path)
                                .lexically_normal()
                                .lexically_relative(folder.lexically_normal())
                                .generic_string();
  Json tree = Json::object();
  tree["lathe_manifest"] = 1;
  tree["kind"] = manifest.kind;
  tree["version"] = manifest.version;
  tree["created"] = manifest.created;
  tree["command"] = manifest.command;
  if (manifest.seed) tree["seed"] = *manifest.seed;
  if (!manifest.recipe.empty()) tree["recipe"] = parse_json(manifest.recipe, "recipe");
  if (!manifest.facts.empty()) tree["facts"] = parse_json(manifest.facts, "facts");
  tree["machine"] = {{"cpu", manifest.cpu}, {"threads", manifest.threads}};
  tree["inputs"] = refs_to_json(manifest.inputs);
  tree["outputs"] = refs_to_json(manifest.outputs);
  write_json_file(path, tree);
}

Manifest read_manifest(const fs::path& path) {
  const Json tree = read_json_file(path);
  const ManifestReader reader(tree, path.string());
  Manifest manifest;
  manifest.kind = reader.text("kind");
  manifest.version = reader.text("version");
  manifest.created = reader.text("created");
  manifest.command = reader.text("command");
  if (tree.contains("seed") && tree["seed"].is_number_integer())
    manifest.seed = tree["seed"].get<int64_t>();
  manifest.recipe = reader.json_text("recipe");
  manifest.facts = reader.json_text("facts");
  if (tree.contains("machine") && tree["machine"].is_object()) {
    manifest.cpu = reader.text(tree["machine"], "cpu");
    const auto threads = tree["machine"].find("threads");
    if (threads != tree["machine"].end() && threads->is_number_integer())
      manifest.threads = threads->get<int64_t>();
  }
  manifest.inputs = reader.refs("inputs");
  manifest.outputs = reader.refs("outputs");
  return manifest;
}

fs::path locate(const ArtefactRef& ref, const fs::path& folder) {
  if (!ref.relative_path.empty()) {
    const fs::path near = (folder / ref.relative_path).lexically_normal();
    if (artefact_exists(near)) return near;
  }
  return ref.path;
}

namespace {

void trace(LineageNode& node, const fs::path& path, std::vector<fs::path>& above) {
  const auto manifest_file = find_manifest(path);
  if (!manifest_file) return;
  const fs::path identity = fs::weakly_canonical(*manifest_file);
  require(std::find(above.begin(), above.end(), identity) == above.end(), ErrorKind::kFormat,
          manifest_file->string(), "names itself among its own ancestors; a manifest was edited");
  node.manifest = read_manifest(*manifest_file);
  if (node.kind.empty()) node.kind = node.manifest->kind;
  const fs::path folder = manifest_file->parent_path();
  for (const auto& output : node.manifest->outputs) {
    const fs::path file = locate(output, folder);
    if (!artefact_exists(file))
      node.changed_files.push_back(output.relative_path + " is missing");
    else if (hash_artefact(file) != output.hash)
      node.changed_files.push_back(output.relative_path + " has changed");
  }
  above.push_back(identity);
  for (const auto& input : node.manifest->inputs) {
    LineageNode parent;
    const fs::path where = locate(input, folder);
    parent.path = where.string();
    parent.kind = input.kind;
    parent.recorded_hash = input.hash;
    if (!artefact_exists(where)) {
      parent.state = LineageNode::State::kMissing;
    } else {
      if (!input.hash.empty())  // without: a stream that could not be hashed
        parent.state = hash_artefact(where) == input.hash ? LineageNode::State::kIntact
                                                          : LineageNode::State::kChanged;
      trace(parent, where, above);
    }
    node.parents.push_back(std::move(parent));
  }
  above.pop_back();
}

}  // namespace

LineageNode trace_lineage(const fs::path& path) {
  require(artefact_exists(path), ErrorKind::kIo, path.string(), "does not exist");
  LineageNode root;
  root.path = path.string();
  std::vector<fs::path> above;
  trace(root, path, above);
  if (root.manifest)
    root.state =
        root.changed_files.empty() ? LineageNode::State::kIntact : LineageNode::State::kChanged;
  return root;
}

}  // namespace lathe
