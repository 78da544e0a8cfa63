#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "lathe/cli/brief_waits.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"

int main(int argc, char** argv) {
  lathe::wait_briefly(argv);
  lathe::install_interrupt_handler();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return lathe::run_program(
      lathe::lathe_program(), arguments,
      {std::cout, std::cerr, lathe::progress_style_for(STDERR_FILENO, std::cerr),
       /*owns_process=*/true});
}
