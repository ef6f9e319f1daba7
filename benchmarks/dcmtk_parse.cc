// Times DCMTK's parse of a file from memory, without and with every value as text: dcmtk_parse FILE REPEATS
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcistrmb.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

static double parse(const std::vector<char>& content, bool values) {
    const auto start = std::chrono::steady_clock::now();
    DcmFileFormat file;
    DcmInputBufferStream stream;
    stream.setBuffer(content.data(), content.size());
    stream.setEos();
    file.transferInit();
    if (file.read(stream, EXS_Unknown, EGL_noChange, DCM_MaxReadLength).bad()) {
        std::exit(1);
    }
    file.transferEnd();
    if (values) {
        DcmStack stack;
        while (file.getDataset()->nextObject(stack, OFTrue).good()) {
            if (stack.top()->isLeaf()) {
                DcmElement* element = OFstatic_cast(DcmElement*, stack.top());
                if (element->ident() == EVR_OB || element->ident() == EVR_OW || element->getTag() == DCM_PixelData) {
                    continue;
                }
                OFString text;
                element->getOFStringArray(text);
            }
        }
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    return passed.count();
}

int main(int count, char** arguments) {
    if (count != 3) {
        return 2;
    }
    std::ifstream in(arguments[1], std::ios::binary);
    const std::vector<char> content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (const bool values : {false, true}) {
        double best = 1e9;
        for (int i = 0; i < std::atoi(arguments[2]); ++i) {
            const double seconds = parse(content, values);
            best = seconds < best ? seconds : best;
        }
        std::printf("%.9f\n", best);
    }
    return 0;
}
