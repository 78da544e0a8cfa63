#include "lathe/model/load_model.h"

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/base/process.h"
#include "lathe/base/strings.h"
#include "lathe/model/packed_parameters.h"
#include "lathe/model/stored_model.h"

namespace lathe {

namespace fs = std::filesystem;

namespace {

// Into parameters that have memory of their own.
void copy_weights(const StoredWeights& w) {
  parallel_dynamic(static_cast<int64_t>(w.places.size()), [&](int64_t i, int) {
    w.copy(static_cast<size_t>(i));
  });
}

bool readable_as(const Parameter& p, DType stored, DType wanted) {
  return stored == wanted || (p.widened_in_use && stored == DType::kBF16 && wanted == DType::kF32);
}

// Takes out of `w` the places of parameters whose rows all are blocks that products can compute on.
StoredWeights pack_weights(const StoredWeights& w) {
  PackedParameters packed;
  for (size_t i = 0; i < w.places.size(); ++i) packed.add(w.places[i], *w.arrays[i]);
  StoredWeights rest{w.reader, {}, {}, {}};
  for (size_t i = 0; i < w.places.size(); ++i) {
    if (packed.has(w.places[i])) continue;
    rest.places.push_back(w.places[i]);
    rest.arrays.push_back(w.arrays[i]);
  }
  packed.place();
  return rest;
}

// Memory for parameters in the file's type where that can be read, and copies. Where `map` is set,
// parameters that lie in the file as they are read become views of it instead.
void place_weights(Transformer& model, const StoredWeights& w, DType wanted, bool map) {
  model.set_activations(wanted);
  StoredWeights rest{w.reader, {}, {}, {}};
  for (size_t i = 0; i < w.places.size(); ++i) {
    const DiskTensor& place = w.places[i];
    const DType stored = w.dtype(i);
    bool mapped = map && place.is_whole() && !is_quantised(*w.arrays[i]);
    for (const WeightPiece& piece : place.pieces) {
      Parameter& p = *piece.parameter;
      const bool readable = readable_as(p, stored, wanted);
      mapped = mapped && readable;
      const DType type = readable ? stored : wanted;
      const Tensor& value = p.value.tensor();
      if (!value.defined())
        p.value = mapped ? w.tensor(i).reshape(p.shape) : Tensor(p.shape, type);
      else if (value.dtype() != type && value.dtype() != wanted)
        // Arrays that share a parameter differ in type: the wanted one holds both without loss.
        p.value = Tensor(p.shape, wanted);
    }
    if (mapped) continue;
    rest.places.push_back(place);
    rest.arrays.push_back(w.arrays[i]);
  }
  copy_weights(rest);
}

}  // namespace

ModelConfig read_model_config(const fs::path& path, const Log& log) {
  return open_stored_model(path)->config(log);
}

void load_weights(Transformer& model, const fs::path& path, const Log& log) {
  const auto weights = open_stored_model(path)->weights(model);
  copy_weights(weights);
  weights.warn_of_unused(path, log);
}

std::unique_ptr<Transformer> load_model(const fs::path& path, const LoadOptions& options) {
  const auto stored = open_stored_model(path);
  auto model = std::make_unique<Transformer>(stored->config(options.log));
  require(options.residence == Residence::kOwn || options.device == Device::kCpu,
          ErrorKind::kDevice, "weights",
          "only the cpu can use weights as stored; the reference device computes in f64");
  // Sizes are compared with those in the file before memory is asked for.
  const StoredWeights weights = stored->weights(*model);
  if (options.residence == Residence::kOwn) {
    model->allocate(options.dtype, options.device);
    copy_weights(weights);
  } else {
    place_weights(*model, weights, options.dtype, options.residence == Residence::kMapped);
  }
  weights.warn_of_unused(path, options.log);
  return model;
}

std::unique_ptr<Transformer> load_for_inference(const fs::path& path, DType dtype, const Log& log,
                                                QuantisedWeights quantised) {
  const auto stored = open_stored_model(path);
  auto model = std::make_unique<Transformer>(stored->config(log));
  const StoredWeights weights = stored->weights(*model);
  size_t bytes = 0;
  for (const ArraySpan* array : weights.arrays) bytes += array->bytes.size();
  const auto memory = static_cast<size_t>(physical_memory_bytes());
  const bool native = quantised == QuantisedWeights::kNative;
  place_weights(*model, native ? pack_weights(weights) : weights, dtype,
                /*map=*/memory > 0 && bytes > memory / 2);
  weights.warn_of_unused(path, log);
  return model;
}

}  // namespace lathe
