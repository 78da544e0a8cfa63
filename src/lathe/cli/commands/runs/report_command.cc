#include <nlohmann/json.hpp>

#include "lathe/cli/commands/commands.h"
#include "lathe/io/atomic_file.h"
#include "lathe/lab/run_page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::string run;
  std::optional<std::string> out, charts;

  void visit(Visitor& v) {
    v.positional("run", run, "folder of a training run (train.out)");
    v.field("out", out, "HTML file to write (default: RUN/report.html)");
    v.field("charts", charts, "also write every chart as an SVG file to this folder");
  }
};

int run_report(const ReportOptions& o, CommandContext& context) {
  const RunData run = read_run(o.run);
  const fs::path file = o.out ? fs::path(*o.out) : fs::path(o.run) / "report.html";
  write_file_atomically(file, report_page(run));
  if (o.charts) {
    fs::create_directories(*o.charts);
    for (const NamedChart& c : run_charts(run))
      write_file_atomically(fs::path(*o.charts) / (c.name + ".svg"),
                            draw_chart(c.spec, ChartUse::kFile));
  }
  if (context.json) {
    context.print_json({{"report", file.string()}, {"steps", run.steps.size()}});
  } else {
    context.out << file.string() << "\n";
  }
  return 0;
}

}  // namespace

Command report_command() {
  return make_command<ReportOptions>(
      {.name = "report",
       .summary = "draw a training run as one HTML page",
       .help = "Writes curves, samples, recipe and lineage to one self-contained file; also works "
               "on a run that is still\n"
               "going.\n\n"
               "  lathe report runs/demo\n"
               "  lathe report runs/again --charts runs/again/charts\n"},
      run_report);
}

}  // namespace lathe
