#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/model/model_input.h"
#include "lathe/cli/commands/model/speculation_options.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/http/http_server.h"
#include "lathe/io/mapped_file.h"
#include "lathe/serve/api.h"

namespace lathe {
namespace {

struct ServeOptions {
  std::vector<std::string> models;
  std::string host = "127.0.0.1";
  int64_t port = 8080;
  std::string precision = "fp32", weights = "native";
  int64_t parallel = 16;
  std::optional<int64_t> context, cache_mib;
  int64_t max_queue = 256, response_store = 1000;
  std::optional<std::string> chat_template;
  std::vector<std::string> adapter;
  SpeculationOptions speculation;
  std::vector<std::string> api_key;
  std::optional<std::string> api_key_file, votes;
  std::vector<std::string> cors_origin, allowed_host;
  int64_t max_body_mib = 32;
  double header_timeout = 10, idle_timeout = 60, drain_seconds = 30;
  std::optional<double> request_timeout;
  std::optional<std::string> tls_cert, tls_key, config;

  void visit(Visitor& v) {
    v.positional(
        "models", models,
        "model folders or .gguf files, each also as NAME=MODEL; without a name it is the last part of the path");
    v.field("host", host, "address on which requests are taken; 127.0.0.1 is this machine alone");
    v.field("port", port, "port; 0 takes any that is free", between(0, 65535));
    v.choice("precision", precision, precision_names(), "arithmetic and weights in memory");
    visit_weights(v, weights);
    v.field("parallel", parallel, "texts that are written at once", between(1, 1024));
    v.field(
        "context", context,
        "tokens of a text, prompt and answer; by default what the model was trained for, at most 8192",
        between(16, 1 << 24));
    v.field("cache_mib", cache_mib,
            "memory of each model's cache; by default room for --parallel texts of 2048 tokens",
            between(1, 1 << 24));
    v.field("max_queue", max_queue, "requests that wait; more are answered with 429",
            between(1, 1 << 20));
    v.field("response_store", response_store,
            "answers of /v1/responses that are kept, the newest ones; 0 keeps none",
            between(0, 1 << 24));
    v.field("chat_template", chat_template, "Jinja file instead of the models' own chat templates");
    v.field(
        "adapter", adapter,
        "NAME=DIR: an adapter, as PEFT saves it, that requests choose by `lora`; with several models "
        "MODEL/NAME=DIR; may be repeated");
    speculation.visit(v);
    v.field("api_key", api_key, "key that clients must give; may be repeated");
    v.field("api_key_file", api_key_file, "file with such keys, one a line");
    v.field("votes", votes,
            "file to which the page's votes are added, as pairs that lathe dpo learns from");
    v.field("cors_origin", cors_origin,
            "origin of web pages that may ask, such as https://app.example; may be repeated");
    v.field("allowed_host", allowed_host,
            "name by which this server may be called beside localhost; may be repeated");
    v.field("max_body_mib", max_body_mib, "size of a request, at most", between(1, 4096));
    v.field("header_timeout", header_timeout, "seconds that the headers of a request may take",
            above(0));
    v.field("idle_timeout", idle_timeout, "seconds between two requests of a connection", above(0));
    v.field("request_timeout", request_timeout,
            "seconds that an answer may take; longer ones end with an error", above(0));
    v.field("drain_seconds", drain_seconds,
            "seconds that open requests may take when the server is asked to end", at_least(0));
    v.field("tls_cert", tls_cert, "PEM file with the certificate, for https");
    v.field("tls_key", tls_key, "PEM file with its key");
    v.field("config", config,
            "TOML file with any of these options (max_queue = 64); the line and the environment "
            "(LATHE_SERVE_MAX_QUEUE=64) come before it");
  }
};

ServedModelOptions model_options(const ServeOptions& o, const std::string& given, const Log& log) {
  ServedModelOptions out;
  out.dtype = dtype_of_precision(o.precision);
  out.weights = quantised_weights(o.weights);
  out.parallel = o.parallel;
  out.context = o.context;
  if (o.cache_mib) out.cache_bytes = *o.cache_mib << 20;
  out.max_queue = o.max_queue;
  if (o.chat_template) out.chat_template = read_file(*o.chat_template);
  const size_t equals = given.find('=');
  out.path = equals == std::string::npos ? given : given.substr(equals + 1);
  std::filesystem::path path(out.path);
  if (!path.has_filename()) path = path.parent_path();  // a folder with '/' behind it
  out.name = equals == std::string::npos ? path.filename().string() : given.substr(0, equals);
  if (equals == std::string::npos && out.name.ends_with(".gguf"))
    out.name.resize(out.name.size() - 5);
  if (o.speculation.given())
    out.speculation = [&o, &log, path = out.path](const Transformer& model) {
      return o.speculation.load(path, model, dtype_of_precision(o.precision),
                                quantised_weights(o.weights), log);
    };
  require(!out.name.empty(), ErrorKind::kUsage, "models",
          "'{}' gives a model no name; write NAME=MODEL", given);
  return out;
}

// "NAME=DIR" or "MODEL/NAME=DIR" to the models that they belong to.
void share_adapters(const ServeOptions& o, std::vector<ServedModelOptions>& models) {
  for (const std::string& given : o.adapter) {
    const size_t equals = given.find('=');
    require(equals != std::string::npos && equals > 0, ErrorKind::kUsage, "--adapter",
            "'{}' has no name; write NAME=DIR", given);
    std::string name = given.substr(0, equals);
    ServedModelOptions* owner = models.size() == 1 ? &models.front() : nullptr;
    for (ServedModelOptions& model : models) {
      if (!name.starts_with(model.name + "/")) continue;
      owner = &model;
      name.erase(0, model.name.size() + 1);
      break;
    }
    require(owner != nullptr, ErrorKind::kUsage, "--adapter",
            "'{}' names none of several models; write MODEL/NAME=DIR", given);
    require(owner->adapters.emplace(name, given.substr(equals + 1)).second, ErrorKind::kUsage,
            "--adapter", "two adapters are called '{}'; give one another name", name);
  }
}

std::vector<std::string> keys_of(const ServeOptions& o) {
  std::vector<std::string> keys = o.api_key;
  if (o.api_key_file) {
    std::istringstream lines(read_file(*o.api_key_file));
    for (std::string line; std::getline(lines, line);) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
      if (!line.empty()) keys.push_back(line);
    }
    require(!keys.empty(), ErrorKind::kUsage, *o.api_key_file, "has no keys; write one a line");
  }
  for (const std::string& key : keys)
    require(!key.empty(), ErrorKind::kUsage, "--api-key",
            "an empty key would let everyone in; leave it out instead");
  return keys;
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

HttpServerOptions http_options(const ServeOptions& o) {
  HttpServerOptions out;
  out.host = o.host;
  out.port = static_cast<uint16_t>(o.port);
  out.allowed_hosts = o.allowed_host;
  out.cors_origins = o.cors_origin;
  out.most_body_bytes = static_cast<size_t>(o.max_body_mib) << 20;
  out.header_timeout = milliseconds(o.header_timeout);
  out.idle_timeout = milliseconds(o.idle_timeout);
  out.tls_certificate = o.tls_cert.value_or("");
  out.tls_key = o.tls_key.value_or("");
  out.threads = 8;  // vectors and rankings are computed in them, which others need not wait for
  out.refusal = Api::refusal;
  return out;
}

// Ends the server when the program is asked to end.
class Watch {
 public:
  Watch(HttpServer& server, Api& api, double drain_seconds)
      : thread_([this, &server, &api, drain_seconds] { watch(server, api, drain_seconds); }) {}
  ~Watch() {
    over_ = true;
    thread_.join();
  }

 private:
  void watch(HttpServer& server, Api& api, double drain_seconds) {
    constexpr auto kPause = std::chrono::milliseconds(20);
    while (!over_ && !interrupt_requested()) {
      std::this_thread::sleep_for(kPause);
      api.end_overdue();
    }
    if (over_) return;
    api.drain();
    server.drain();
    const auto last = std::chrono::steady_clock::now() + milliseconds(drain_seconds);
    while (!over_ && std::chrono::steady_clock::now() < last) {
      std::this_thread::sleep_for(kPause);
      api.end_overdue();
    }
    if (!over_) server.stop();
  }

  std::atomic<bool> over_ = false;
  std::thread thread_;
};

int run_serve(const ServeOptions& o, CommandContext& context) {
  require(o.tls_cert.has_value() == o.tls_key.has_value(), ErrorKind::kUsage, "--tls-cert",
          "a certificate and its key belong together; give both --tls-cert and --tls-key");
  std::optional<VoteFile> votes;
  if (o.votes) votes.emplace(*o.votes);
  std::vector<ServedModelOptions> wanted;
  for (const std::string& given : o.models) wanted.push_back(model_options(o, given, context.log));
  share_adapters(o, wanted);
  ServedModels models(std::move(wanted), context.log);
  throw_if_interrupted();
  Api api(models,
          {.keys = keys_of(o),
           .request_seconds = o.request_timeout,
           .responses = o.response_store,
           .votes = votes ? &*votes : nullptr},
          context.log);
  HttpServer server(
      http_options(o),
      [&, threads = thread_count()](const HttpRequest& request,
                                    const std::shared_ptr<HttpReply>& reply) {
        set_thread_count(threads);  // of this thread of the pool
        api.handle(request, reply);
      },
      context.log);
  context.begin_to_save();  // Ctrl-C lets open requests end
  const std::string listening = fmt::format("{}:{}", server.host(), server.port());
  const nlohmann::ordered_json hello = {
      {"listening", listening},
      {"url", fmt::format("{}://{}", server.secure() ? "https" : "http", listening)},
      {"models", models.names()},
      {"pid", ::getpid()}};
  context.out << hello.dump() << std::endl;
  const Watch watch(server, api, o.drain_seconds);
  server.run();
  return 0;
}

}  // namespace

Command serve_command() {
  return make_command<ServeOptions>(
      {.name = "serve",
       .summary = "answer requests over HTTP",
       .help =
           "Loads models and answers the interfaces of OpenAI (/v1/chat/completions, /v1/completions, /v1/responses,\n"
           "/v1/models) and Anthropic (/v1/messages). docs/serving.md has all paths; at / there is a page to chat with.\n"
           "When it takes requests it prints one line of JSON with its address. Ctrl-C (or SIGTERM) lets open requests\n"
           "end, the second one does not.\n\n"
           "  lathe serve runs/demo/model\n"
           "  lathe serve small=model.gguf large=/models/large --port 8080 --parallel 8\n"
           "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
           "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"What is a llama?\"}]}'\n",
       .takes_settings = true},
      run_serve);
}

}  // namespace lathe
