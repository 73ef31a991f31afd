namespace OnnxLlm.Tests.Support;

/// <summary>
/// A test of something that an npm folder of its own brings, because it is too large for everyone. Where that is not installed the test is skipped and says how
/// to install it; CI sets ONNXLLM_ALL_TESTS, with which nothing is skipped.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class InstalledFactAttribute : FactAttribute
{
    /// <param name="folder">The npm folder in the repository.</param>
    public InstalledFactAttribute(string folder) => Skip =
        Directory.Exists(Repository.PathOf(folder, "node_modules")) || Environment.GetEnvironmentVariable("ONNXLLM_ALL_TESTS") is not null
            ? null
            : $"not installed: npm ci --prefix {folder}";
}
