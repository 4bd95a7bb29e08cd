# `cmake --install BUILD` and `cmake --build BUILD --target uninstall`.

if(TARGET knockout)
    install(TARGETS knockout RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(name README.md LICENSE CHANGELOG.md DATA.md THIRD_PARTY.md)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${name})
        install(FILES ${name} DESTINATION ${CMAKE_INSTALL_DOCDIR})
    endif()
endforeach()
foreach(folder analysis slurm)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
        install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout
            USE_SOURCE_PERMISSIONS PATTERN "__pycache__" EXCLUDE)
    endif()
endforeach()
foreach(folder jobs/paper jobs/controls)
    install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout/jobs)
endforeach()

add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
        -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
    COMMENT "Removing what was installed" VERBATIM)
