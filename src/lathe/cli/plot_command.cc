// lathe plot: the curves of several runs in one picture, and where each comes down to the first
// one's end, which is what most comparisons ask.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands.h"
#include "lathe/cli/report/curves.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kColors = 4;  // of a chart

template <class Value>
struct Named {
  const char* name;
  Value value;
  const char* text;  // on the picture
};
constexpr Named<CurveY> kYs[] = {{"val_loss", CurveY::kValidationLoss, "Validation loss"},
                                 {"loss", CurveY::kLoss, "Training loss"},
                                 {"bits_per_byte", CurveY::kBitsPerByte, "Validation, bits a byte"},
                                 {"grad_norm", CurveY::kGradientNorm, "Gradient norm"}};
constexpr Named<CurveX> kXs[] = {{"step", CurveX::kStep, "step"},
                                 {"tokens", CurveX::kTokens, "tokens"},
                                 {"flops", CurveX::kFlops, "FLOPs"},
                                 {"position", CurveX::kPosition, "position"}};

template <class Value, size_t N>
const Named<Value>& named(const Named<Value> (&table)[N], const std::string& name) {
  return *std::ranges::find(table, name, [](const auto& n) { return std::string(n.name); });
}

struct PlotOptions {
  std::vector<std::string> runs, label;
  std::string out, y = "val_loss", x = "step";
  std::optional<std::string> level, level_label, title;

  template <class V>
  void visit(V& v) {
    v.positional(
        "runs", runs,
        "folders of training runs; with --x position, files that `lathe eval --out` wrote");
    v.field("out", out, "SVG file to write", required());
    v.choice("y", y, {kYs[0].name, kYs[1].name, kYs[2].name, kYs[3].name}, "what is drawn");
    v.choice("x", x, {kXs[0].name, kXs[1].name, kXs[2].name, kXs[3].name},
             "against what; tokens and flops are those of training up to there");
    v.field("label", label,
            "name of a curve, in the order of the runs (default: the last part of its path)");
    v.field("level", level, "a further run whose last value is drawn as a line across");
    v.field("level_label", level_label, "its name");
    v.field("title", title, "heading (default: what is drawn)");
  }
};

struct Curve {
  std::string label;
  std::vector<ChartPoint> points;
  std::vector<ChartPoint> raw = {};  // when points are its running mean
  double last() const { return points.back().y; }
};

std::string name_of(const fs::path& source) {
  const fs::path name = source.has_filename() ? source : source.parent_path();
  return (name.extension() == ".json" ? name.stem() : name.filename()).string();
}

// Training loss and gradient norm jump from step to step: their running mean is the line.
Curve curve_of(const PlotOptions& o, const std::string& source,
               const std::optional<std::string>& label) {
  Curve curve{label.value_or(name_of(source)),
              read_curve(source, named(kYs, o.y).value, named(kXs, o.x).value)};
  if (o.y == "loss" || o.y == "grad_norm") {
    curve.raw = std::move(curve.points);
    curve.points = smoothed(curve.raw, 0.9);
  }
  return curve;
}

std::vector<Curve> read_curves(const PlotOptions& o) {
  require(o.label.empty() || o.label.size() == o.runs.size(), ErrorKind::kUsage, "--label",
          "{} names for {} curves; give one for each, in the same order, or none", o.label.size(),
          o.runs.size());
  require(o.level || !o.level_label, ErrorKind::kUsage, "--level-label",
          "names the line of --level RUN, which is not given");
  const size_t most = kColors - (o.level ? 1 : 0);
  require(o.runs.size() <= most, ErrorKind::kUsage, "command line",
          "{} runs, but a picture has colours for {}; draw two pictures", o.runs.size(), most);
  require(o.x != "position" || o.y == "val_loss", ErrorKind::kUsage, "--y",
          "is {}, but what is known by position is the loss: leave it out", o.y);
  std::vector<Curve> curves;
  for (size_t i = 0; i < o.runs.size(); ++i)
    curves.push_back(
        curve_of(o, o.runs[i], o.label.empty() ? std::nullopt : std::optional(o.label[i])));
  return curves;
}

void add_series(const Curve& curve, int color, ChartSpec& spec) {
  if (!curve.raw.empty())
    spec.series.push_back(
        {.name = "", .color = color, .faint = true, .dots = false, .points = curve.raw});
  spec.series.push_back({.name = curve.label,
                         .color = color,
                         .faint = false,
                         .dots = curve.raw.empty() && curve.points.size() <= 40,
                         .points = curve.points});
}

ChartSpec chart_of(const PlotOptions& o, const std::vector<Curve>& curves,
                   const std::optional<Curve>& level) {
  ChartSpec spec{
      .title = o.title.value_or(o.x == "position" ? "Loss by position" : named(kYs, o.y).text),
      .x_label = named(kXs, o.x).text,
      .series = {},
      .width = 760,
      .height = 330};
  int color = 0;
  for (const Curve& c : curves) add_series(c, ++color, spec);
  if (level) {
    double first = curves[0].points.front().x, last = first;
    for (const Curve& c : curves) {
      first = std::min(first, c.points.front().x);
      last = std::max(last, c.points.back().x);
    }
    spec.series.push_back({.name = level->label,
                           .color = ++color,
                           .points = {{first, level->last()}, {last, level->last()}}});
  }
  return spec;
}

void report(const PlotOptions& o, const std::vector<Curve>& curves, const Curve& reference,
            CommandContext& context) {
  Json list = Json::array();
  for (const Curve& c : curves) {
    const auto reached = first_at_or_below(c.points, reference.last());
    list.push_back({{"label", c.label}, {"last", c.last()}, {"at", c.points.back().x}});
    list.back()["reaches_reference_at"] = reached ? Json(*reached) : Json();
    if (context.json) continue;
    context.out << fmt::format("{}: {:.4f} at {} {:.6g}", c.label, c.last(), o.x,
                               c.points.back().x);
    if (&c != &reference && o.x != "position")
      context.out << (reached
                          ? fmt::format("; reaches the {:.4f} of {} at {:.4g}, {:.0f} % of {:.4g}",
                                        reference.last(), reference.label, *reached,
                                        100 * *reached / reference.points.back().x,
                                        reference.points.back().x)
                          : fmt::format("; stays above the {:.4f} of {}", reference.last(),
                                        reference.label));
    context.out << "\n";
  }
  if (context.json)
    context.print_json({{"out", o.out},
                        {"reference", {{"label", reference.label}, {"last", reference.last()}}},
                        {"curves", list}});
}

int run_plot(const PlotOptions& o, CommandContext& context) {
  const std::vector<Curve> curves = read_curves(o);
  std::optional<Curve> level;
  if (o.level) level = curve_of(o, *o.level, o.level_label);
  write_file_atomically(o.out, draw_chart(chart_of(o, curves, level), ChartUse::kFile));
  report(o, curves, level ? *level : curves[0], context);
  context.log.info("wrote {}", o.out);
  return 0;
}

}  // namespace

Command plot_command() {
  return make_command<PlotOptions>(
      {.name = "plot",
       .summary = "draw the curves of several runs into one SVG file",
       .help = "Prints the last value of every curve, and where it first comes down to that of the "
               "first one (or of\n"
               "--level): how much sooner one run learns what another does.\n\n"
               "  lathe plot runs/demo runs/demo-2 --out loss.svg\n"
               "  lathe plot runs/dense runs/moe --x flops --label dense --label experts --out "
               "moe.svg\n"
               "  lathe plot rope.json alibi.json --x position --out positions.svg\n"},
      run_plot);
}

}  // namespace lathe
