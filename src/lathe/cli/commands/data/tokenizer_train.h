// `lathe tokenizer train`.
#pragma once

#include "lathe/cli/frame/command.h"

namespace lathe {

Command tokenizer_train_command();

}  // namespace lathe
