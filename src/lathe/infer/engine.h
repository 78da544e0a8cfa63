// Generates texts for many at once: token ids in, token ids out, by continuous batching through a
// paged cache. docs/inference.md follows a request through it.
//
// One thread owns the model: the one that calls step(), run() or serve(). Any thread may submit,
// cancel, stop and ask for statistics.
//
// A request's tokens depend on the request alone. They are the same whatever else runs, however its
// prompt was cut, whether its beginning was found in the cache, whether it had to give up its place
// and was computed again, and with any number of threads, because every kernel computes a row
// without regard to the others (tests/kernels/row_invariance_test.cc). They may differ between
// instruction-set levels.
//
// The results are those of whole forward passes. Where a longer text changes the positions of its
// first tokens (rotary scaling by length: longrope once, dynamic at every token beyond the trained
// length), it is computed again from the beginning.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "lathe/infer/adapter_registry.h"
#include "lathe/infer/beam_search.h"
#include "lathe/infer/cache_plan.h"
#include "lathe/infer/paged_cache.h"
#include "lathe/infer/request.h"
#include "lathe/infer/room.h"
#include "lathe/infer/scheduler.h"
#include "lathe/infer/speculation/draft_depth.h"
#include "lathe/infer/speculation/drafter.h"
#include "lathe/model/adapter/row_adapters.h"
#include "lathe/model/model_pass.h"
#include "lathe/model/transformer.h"

namespace lathe {

struct EngineStatistics {
  int64_t waiting = 0, running = 0;  // sequences
  int64_t blocks = 0, blocks_held = 0, blocks_kept = 0;
  int64_t steps = 0, tokens = 0;  // passes, and tokens computed in them
  int64_t new_tokens = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0;  // of requests that began
  int64_t preemptions = 0, finished = 0;
  int64_t adapters = 0, adapter_bytes = 0;  // loaded; bytes with those that are in use still
  int64_t guessed_tokens = 0, accepted_tokens = 0;  // speculation
  int64_t forced_tokens = 0;                        // by constraints
};

class Engine : private SchedulerHost {
 public:
  // The model's weights determine the arithmetic (f32 or bf16), and must outlive the engine. With a
  // drafter, tokens are guessed and checked (speculation/drafter.h). Errors: kData for a body that
  // cannot continue a text, and for a drafter where the tokens of a pass compete for experts; kConfig
  // for options that cannot work.
  Engine(const Transformer& model, const EngineOptions& options,
         std::unique_ptr<Drafter> drafter = nullptr);
  // Requests that are open end without another call; stop(true) and step() before it end them in
  // words.
  ~Engine() override;

  // Takes a request, or says why not.
  Submission submit(Request request);
  // Why submit() would not take it, as far as that can be said without trying.
  std::optional<Refusal> refuse(const Request& request) const;
  // Ends what is left of it, with kCancelled; nothing if it has ended.
  void cancel(uint64_t id);

  // Ends what its choices think, from their next token on (Request::thinking).
  void end_thinking(uint64_t id);

  // Adapters that requests may name, at any time from any thread (adapter_registry.h). A request
  // keeps what it was taken with; requests with different adapters run in one batch. Error kData for
  // an adapter that was loaded for another model.
  void load_adapter(const std::string& name, std::shared_ptr<const LoraAdapter> adapter);
  bool unload_adapter(const std::string& name);
  std::vector<std::string> adapters() const;
  // Loads these under names of their own and returns the names.
  std::vector<std::string> load_adapters(
      const std::vector<std::shared_ptr<const LoraAdapter>>& all);

  // One pass; false if there was nothing to do.
  bool step();
  // Until nothing waits or runs.
  void run();
  // Until stop(), waiting for requests in between; ends once the open ones have.
  void serve();
  // No more requests are taken. With `cancel_open` the open ones end at once.
  void stop(bool cancel_open = false);

  // The known prefixes to and from a file (prefix_file.h); only for the owning thread. Return the
  // number of blocks. Errors: kData if this model shares none, and those of the file.
  int64_t save_cache(const std::filesystem::path& path) const;
  int64_t load_cache(const std::filesystem::path& path);

  EngineStatistics statistics() const;
  // The plan of the cache in words, for the log of whoever starts it.
  std::string description() const;
  const Room& room() const { return room_; }
  const EngineOptions& options() const { return options_; }
  const PagedCache& cache() const { return cache_; }  // only for the owning thread

 private:
  struct Job;
  struct Beams;
  struct Sequence;
  struct LogitRows;
  struct Computed;
  struct Inbox {
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<uint64_t> cancelled;
    std::vector<uint64_t> thought_enough;
  };

  // SchedulerHost
  int64_t chunk(int64_t id, int64_t most) override;
  bool reads_prompt(int64_t id) const override;
  bool reserve(int64_t id, int64_t tokens) override;
  void preempt(int64_t id) override;

  std::optional<Refusal> refuse_size(const Request& request, int64_t wanted) const;
  std::optional<Refusal> refuse_shift(const Request& request) const;
  std::optional<Refusal> refuse_search(const Request& request) const;
  std::optional<Refusal> refuse_beams(const Request& request) const;
  std::optional<Refusal> refuse_contrastive(const Request& request) const;
  std::optional<Refusal> refuse_thinking(const Request& request) const;
  Adaptation adaptation_of(const Request& request) const;
  void group_by_adapters(std::vector<Scheduler::Share>& shares) const;
  std::unique_ptr<RowAdapters> adapters_of(const std::vector<Scheduler::Share>& shares,
                                           const Sequences& rows, const Sequences* text) const;
  void take_inbox();
  void end_thoughts(const std::vector<uint64_t>& jobs);
  void begin(std::unique_ptr<Job> job);
  void open(Sequence& sequence);
  void start_over(Sequence& sequence);
  ModelInputs begin_pass(const std::vector<Scheduler::Share>& shares);
  Computed run_pass(const std::vector<Scheduler::Share>& shares);
  bool takes_singly(const Sequence& sequence) const;
  void choose_rows(const std::vector<Scheduler::Share>& shares, Computed& pass) const;
  void take_logits(const std::vector<Scheduler::Share>& shares, const Computed& pass);
  void publish(const Sequence& sequence, int64_t count);
  void fork_choices(Sequence& first);
  void settle(const std::vector<Scheduler::Share>& shares, const Computed& pass);
  // engine_tokens.cc
  void advance(Sequence& sequence, const LogitRows& logits);
  bool take_certain(Sequence& sequence, std::span<const float> logits);
  bool take_next(Sequence& sequence, std::span<float> logits);
  bool look_ahead(Sequence& sequence);
  bool append(Sequence& sequence, int32_t token, std::span<const float> raw);
  bool deliver(const Sequence& sequence, int32_t token, std::span<const float> raw);
  std::optional<FinishReason> why_it_ends(const Sequence& sequence, bool wanted) const;
  std::optional<Draft> draft_of(Sequence& sequence, int64_t decoding);
  void guess();
  int64_t take_guesses(Sequence& sequence, std::span<const int32_t> guesses);
  // engine_beams.cc
  void prepare_ends(Job& job) const;
  void begin_beams(const std::shared_ptr<Job>& job);
  void take_beam_row(Sequence& sequence, std::span<float> logits);
  void step_beams(const std::shared_ptr<Job>& job);
  void become(const std::vector<BeamSearch::Beam>& beams, const std::shared_ptr<Job>& job);
  void end_beams(const std::shared_ptr<Job>& job);
  void hand_over(const Job& job, int64_t choice, const BeamSearch::Hypothesis& answer);
  void drop_beams(const std::shared_ptr<Job>& job, FinishReason reason,
                  const std::exception_ptr& error);
  void drop_all(Job& job);
  void drop(int64_t id);
  // engine_contrast.cc
  void keep_states(const std::vector<Scheduler::Share>& shares, const Computed& pass);
  double largest_cosine(const Sequence& sequence) const;
  void step_contrast(const std::shared_ptr<Job>& job);
  bool end_contrast(const std::shared_ptr<Job>& job, const Sequence& text);
  Sequence& new_sequence(const std::shared_ptr<Job>& job, int64_t choice);
  Finished ended(const Job& job, int64_t choice) const;
  void tell(const Job& job, const Finished& end);
  void finish(int64_t id, FinishReason reason, std::exception_ptr error = nullptr);
  void fail_all(const std::vector<Scheduler::Share>& shares, const std::exception_ptr& error);
  std::string prefix_identity() const;
  void update_statistics();

  const Transformer& model_;
  EngineOptions options_;
  Room room_;
  AdapterRegistry adapters_;
  PagedCache cache_;
  Scheduler scheduler_;
  std::unique_ptr<Drafter> drafter_;
  DraftDepth depth_;
  bool shares_prefixes_;
  bool whole_passes_;      // a prompt must not be cut
  bool computed_at_once_;  // a text may have to be computed in one pass
  std::map<int64_t, std::unique_ptr<Sequence>> sequences_;
  int64_t next_sequence_ = 1;

  mutable std::mutex mutex_;  // of everything below
  std::condition_variable wake_;
  Inbox inbox_;
  uint64_t next_id_ = 1;
  bool stopping_ = false, cancel_open_ = false;
  EngineStatistics statistics_;
};

}  // namespace lathe
