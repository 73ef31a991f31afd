using System.Runtime.InteropServices;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>The functions of ONNX Runtime GenAI's C interface that are needed here. Those that return a pointer return an error, or null.</summary>
internal static partial class GenAiCalls
{
    private const string Library = PeerLibrary.GenAi;

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaCreateModel(string folder, out nint model);

    [LibraryImport(Library)]
    public static partial void OgaDestroyModel(nint model);

    [LibraryImport(Library)]
    public static partial nint OgaCreateGeneratorParams(nint model, out nint parameters);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaGeneratorParamsSetSearchNumber(nint parameters, string option, double value);

    [LibraryImport(Library)]
    public static partial void OgaDestroyGeneratorParams(nint parameters);

    [LibraryImport(Library)]
    public static partial nint OgaCreateGenerator(nint model, nint parameters, out nint generator);

    [LibraryImport(Library)]
    public static partial void OgaDestroyGenerator(nint generator);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_AppendTokens(nint generator, ReadOnlySpan<int> tokens, nuint count);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_GenerateNextToken(nint generator);

    [LibraryImport(Library)]
    public static partial byte OgaGenerator_IsDone(nint generator);

    [LibraryImport(Library)]
    public static partial nuint OgaGenerator_GetSequenceCount(nint generator, nuint sequence);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_GetSequenceData(nint generator, nuint sequence);

    [LibraryImport(Library)]
    public static partial nint OgaCreateTokenizer(nint model, out nint tokenizer);

    [LibraryImport(Library)]
    public static partial void OgaDestroyTokenizer(nint tokenizer);

    [LibraryImport(Library)]
    public static partial nint OgaCreateSequences(out nint sequences);

    [LibraryImport(Library)]
    public static partial void OgaDestroySequences(nint sequences);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaTokenizerEncode(nint tokenizer, string text, nint sequences);

    [LibraryImport(Library)]
    public static partial nuint OgaSequencesGetSequenceCount(nint sequences, nuint sequence);

    [LibraryImport(Library)]
    public static partial nint OgaSequencesGetSequenceData(nint sequences, nuint sequence);

    [LibraryImport(Library)]
    public static partial nint OgaResultGetError(nint result);

    [LibraryImport(Library)]
    public static partial void OgaDestroyResult(nint result);

    /// <summary>Throws what a call reports.</summary>
    public static void Check(nint error)
    {
        if (error == 0) return;
        string message = Marshal.PtrToStringUTF8(OgaResultGetError(error)) ?? "an error without a message";
        OgaDestroyResult(error);
        throw new BenchmarkException($"ONNX Runtime GenAI: {message}");
    }

    public static unsafe int[] Ids(nint data, nuint count) => new ReadOnlySpan<int>((void*)data, (int)count).ToArray();
}
