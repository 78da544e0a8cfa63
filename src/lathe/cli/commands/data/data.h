// `lathe data`: one file per child command.
#pragma once

#include "lathe/cli/frame/command.h"

namespace lathe {

Command data_show_command();
Command data_card_command();

}  // namespace lathe
