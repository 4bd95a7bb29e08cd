# Warnings for every file of the project; headers of dependencies are system headers and exempt.

set(ko_warnings -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef)
if(KNOCKOUT_WERROR)
    list(APPEND ko_warnings -Werror)
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:C>:${ko_warnings}>"
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>)
