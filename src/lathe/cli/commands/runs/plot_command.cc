// lathe plot: the curves of several runs in one picture, and where each comes down to the first
// one's end, which is what most comparisons ask.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/io/atomic_file.h"
#include "lathe/lab/curves.h"
#include "lathe/report/band.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

template <class Value>
struct Named {
  const char* name;
  Value value;
  const char* text;  // on the picture
};
constexpr Named<CurveY> kYs[] = {
    {"val_loss", CurveY::kValidationLoss, "Validation loss"},
    {"loss", CurveY::kLoss, "Training loss"},
    {"bits_per_byte", CurveY::kBitsPerByte, "Validation, bits a byte"},
    {"grad_norm", CurveY::kGradientNorm, "Gradient norm"},
    {"val_reward", CurveY::kValidationReward, "Mean reward, held-out prompts"},
    {"reward", CurveY::kReward, "Mean reward"}};
constexpr Named<CurveX> kXs[] = {{"step", CurveX::kStep, "step"},
                                 {"tokens", CurveX::kTokens, "tokens"},
                                 {"flops", CurveX::kFlops, "FLOPs"},
                                 {"position", CurveX::kPosition, "position"}};

template <class Value, size_t N>
std::vector<std::string> names_in(const Named<Value> (&table)[N]) {
  std::vector<std::string> names;
  for (const auto& n : table) names.emplace_back(n.name);
  return names;
}

template <class Value, size_t N>
const Named<Value>& named(const Named<Value> (&table)[N], const std::string& name) {
  return *std::ranges::find(table, name, [](const auto& n) { return std::string(n.name); });
}

struct PlotOptions {
  std::vector<std::string> runs, label;
  std::string out, y = "val_loss", x = "step";
  std::optional<std::string> level, level_label, title;
  bool log_x = false, log_y = false, band = false;

  void visit(Visitor& v) {
    v.positional(
        "runs", runs,
        "folders of training runs; with --x position, files that `lathe eval --out` wrote");
    v.field("out", out, "SVG file to write", required());
    v.choice("y", y, names_in(kYs), "quantity to plot");
    v.choice("x", x, names_in(kXs),
             "horizontal axis; tokens and flops are those of the training so far");
    v.field("label", label,
            "name of a curve, in the order of the runs (default: the last part of its path)");
    v.field("band", band,
            "draw runs with the same name, such as seeds of one setting, as one curve: their mean, "
            "in a band from the lowest to the highest");
    v.field("log_x", log_x, "logarithmic horizontal axis; values not above 0 become gaps");
    v.field("log_y", log_y, "the same for the vertical axis");
    v.field("level", level, "another run, whose last value is drawn as a horizontal line");
    v.field("level_label", level_label, "name of that line");
    v.field("title", title, "heading (default: the quantity plotted)");
  }
};

struct Curve {
  std::string label;
  std::vector<ChartPoint> points;    // at least one is finite
  std::vector<ChartPoint> raw = {};  // when points are its running mean
  std::vector<ChartSpan> band = {};  // when points are the mean of several runs
  size_t runs = 1;

  // The last one that is finite: a run may have ended in NaN.
  const ChartPoint& end() const {
    return *std::ranges::find_if(points.rbegin(), points.rend(), is_finite);
  }
  double last() const { return end().y; }
  int64_t gaps() const {
    return static_cast<int64_t>(points.size()) - std::ranges::count_if(points, is_finite);
  }
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
  if (o.y == "loss" || o.y == "grad_norm" || o.y == "reward") {
    curve.raw = std::move(curve.points);
    curve.points = smoothed(curve.raw, 0.9);
  }
  return curve;
}

void check_options(const PlotOptions& o) {
  require(o.label.empty() || o.label.size() == o.runs.size(), ErrorKind::kUsage, "--label",
          "{} names for {} curves; give one for each, in the same order, or none", o.label.size(),
          o.runs.size());
  require(o.level || !o.level_label, ErrorKind::kUsage, "--level-label",
          "names the line of --level RUN, but --level is not given");
  require(o.x != "position" || o.y == "val_loss", ErrorKind::kUsage, "--y",
          "is {}, but only the loss is known by position; leave it out", o.y);
}

// Curves of equal label become one, where the first of them stood.
std::vector<Curve> banded(const std::vector<Curve>& curves) {
  std::vector<Curve> out;
  for (const Curve& c : curves) {
    if (std::ranges::find(out, c.label, &Curve::label) != out.end()) continue;
    std::vector<std::vector<ChartPoint>> same;
    for (const Curve& other : curves)
      if (other.label == c.label) same.push_back(other.points);
    if (same.size() == 1) {
      out.push_back(c);
      continue;
    }
    CurveBand band = band_of(same);
    require(std::ranges::any_of(band.mean, is_finite), ErrorKind::kData, "--band",
            "the {} runs named '{}' have no common range in which all have finite values; give "
            "them different names with --label",
            same.size(), c.label);
    out.push_back({c.label, std::move(band.mean), {}, std::move(band.range), same.size()});
  }
  require(out.size() < curves.size(), ErrorKind::kUsage, "--band",
          "needs runs with the same name, but no two share one; give --label once for every run, "
          "with the same name for the runs of one setting");
  return out;
}

std::vector<Curve> read_curves(const PlotOptions& o) {
  check_options(o);
  std::vector<Curve> curves;
  for (size_t i = 0; i < o.runs.size(); ++i)
    curves.push_back(
        curve_of(o, o.runs[i], o.label.empty() ? std::nullopt : std::optional(o.label[i])));
  return o.band ? banded(curves) : curves;
}

void check_axis(const char* option, const Curve& curve, double ChartPoint::*coordinate) {
  require(std::ranges::any_of(
              curve.points, [&](const ChartPoint& p) { return is_finite(p) && p.*coordinate > 0; }),
          ErrorKind::kData, option,
          "curve '{}' has nothing above 0, which a logarithmic axis cannot show; leave the option "
          "out",
          curve.label);
}

void check_axes(const PlotOptions& o, const std::vector<Curve>& curves,
                const std::optional<Curve>& level) {
  require(!level || !o.log_y || level->last() > 0, ErrorKind::kData, "--level",
          "is at {}, which a logarithmic axis cannot show; leave --log-y out",
          level ? level->last() : 0.0);
  for (const Curve& c : curves) {
    if (o.log_x) check_axis("--log-x", c, &ChartPoint::x);
    if (o.log_y) check_axis("--log-y", c, &ChartPoint::y);
  }
}

void add_series(const Curve& curve, int color, ChartSpec& spec) {
  if (!curve.raw.empty())
    spec.series.push_back(
        {.name = "", .color = color, .faint = true, .dots = false, .points = curve.raw});
  const std::string name =
      curve.runs == 1 ? curve.label
                      : fmt::format("{} (mean of {}, lowest to highest)", curve.label, curve.runs);
  spec.series.push_back({.name = name,
                         .color = color,
                         .faint = false,
                         .dots = curve.raw.empty() && curve.runs == 1 && curve.points.size() <= 40,
                         .points = curve.points,
                         .band = curve.band});
}

ChartSpec chart_of(const PlotOptions& o, const std::vector<Curve>& curves,
                   const std::optional<Curve>& level) {
  ChartSpec spec{
      .title = o.title.value_or(o.x == "position" ? "Loss by position" : named(kYs, o.y).text),
      .x_label = named(kXs, o.x).text,
      .series = {},
      .width = 760,
      .height = 330,
      .x_scale = o.log_x ? AxisScale::kLog : AxisScale::kLinear,
      .y_scale = o.log_y ? AxisScale::kLog : AxisScale::kLinear};
  int color = 0;
  for (const Curve& c : curves) add_series(c, ++color, spec);
  if (level) {
    double first = curves[0].end().x, last = first;
    for (const Curve& c : curves)
      for (const ChartPoint& p : c.points)
        if (is_finite(p) && (!o.log_x || p.x > 0)) {
          first = std::min(first, p.x);
          last = std::max(last, p.x);
        }
    spec.series.push_back({.name = level->label,
                           .color = ++color,
                           .points = {{first, level->last()}, {last, level->last()}}});
  }
  return spec;
}

// What is better the higher it is.
bool rises(const PlotOptions& o) { return o.y == "reward" || o.y == "val_reward"; }

// Where the curve first is as good as the reference in the end.
std::optional<double> reaches(const PlotOptions& o, const Curve& curve, const Curve& reference) {
  if (!rises(o)) return first_at_or_below(curve.points, reference.last());
  std::vector<ChartPoint> mirrored = curve.points;
  for (ChartPoint& p : mirrored) p.y = -p.y;
  return first_at_or_below(mirrored, -reference.last());
}

// "; reaches the 3.0000 of dense at 3e+09, 75 % of 4e+09"
std::string comparison(const PlotOptions& o, const Curve& curve, const Curve& reference) {
  const auto reached = reaches(o, curve, reference);
  if (!reached)
    return fmt::format("; stays {} the {:.4f} of {}", rises(o) ? "below" : "above",
                       reference.last(), reference.label);
  return fmt::format("; reaches the {:.4f} of {} at {:.4g}, {:.0f} % of {:.4g}", reference.last(),
                     reference.label, *reached, 100 * *reached / reference.end().x,
                     reference.end().x);
}

std::string line_of(const PlotOptions& o, const Curve& c, const Curve& reference) {
  std::string text = fmt::format("{}: {:.4f} at {} {:.6g}", c.label, c.last(), o.x, c.end().x);
  if (c.runs > 1) {
    const ChartSpan& span = *std::ranges::find(c.band, c.end().x, &ChartSpan::x);
    text += fmt::format(", mean of {} runs from {:.4f} to {:.4f}", c.runs, span.low, span.high);
  }
  if (&c != &reference && o.x != "position") text += comparison(o, c, reference);
  if (c.gaps() > 0)
    text += fmt::format("; {} of {} values are missing or not finite", c.gaps(), c.points.size());
  return text + "\n";
}

Json json_of(const PlotOptions& o, const Curve& c, const Curve& reference) {
  const auto reached = reaches(o, c, reference);
  Json json = {{"label", c.label},
               {"last", c.last()},
               {"at", c.end().x},
               {"runs", c.runs},
               {"gaps", c.gaps()}};
  json["reaches_reference_at"] = reached ? Json(*reached) : Json();
  return json;
}

void report(const PlotOptions& o, const std::vector<Curve>& curves, const Curve& reference,
            CommandContext& context) {
  Json list = Json::array();
  for (const Curve& c : curves) {
    list.push_back(json_of(o, c, reference));
    if (!context.json) context.out << line_of(o, c, reference);
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
  check_axes(o, curves, level);
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
       .help =
           "Prints the last value of every curve, and where it first falls to the last value of "
           "the first curve\n"
           "(or of --level; a reward first rises to it): how much sooner one run learns what another "
           "does.\n\n"
           "  lathe plot runs/demo runs/demo-2 --out loss.svg\n"
           "  lathe plot runs/dense runs/moe --x flops --label dense --label experts --out "
           "moe.svg\n"
           "  lathe plot s1 s2 s3 --label a --label a --label b --band --log-x --out seeds.svg\n"
           "  lathe plot rope.json alibi.json --x position --out positions.svg\n"},
      run_plot);
}

}  // namespace lathe
