# Warnings for every file of the project; headers of dependencies are system headers and exempt.

add_compile_options(-Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes
    -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wformat=2 -Wundef)
if(KNOCKOUT_WERROR)
    add_compile_options(-Werror)
endif()
