#include "lathe/train/batch_pass.h"

namespace lathe {

BatchPass::BatchPass(Transformer& model, Forward f, const Batch& batch, Recompute recompute)
    : forward(std::move(f)) {
  if (batch.text.defined()) {
    Forward reading = forward;
    reading.segments = {batch.text_segments, batch.text_segments};
    memory = model.encode(reading, batch.text, recompute);
    forward.memory = &memory;
  }
  forward.positions = batch.positions;
  forward.segments = {batch.segments, batch.segments};
  forward.prefix = batch.prefix;
  hidden = model.hidden(forward, batch.ids, recompute);
}

}  // namespace lathe
