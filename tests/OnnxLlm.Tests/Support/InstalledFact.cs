namespace OnnxLlm.Tests.Support;

/// <summary>
/// A test of something that an npm folder of its own brings, because it is too large for everyone. Where that is not installed the test is skipped and says how
/// to install it; CI sets ONNXLLM_ALL_TESTS, with which it is not skipped.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class InstalledFactAttribute : FactAttribute
{
    /// <param name="folders">The npm folders in the repository.</param>
    public InstalledFactAttribute(params string[] folders)
    {
        var missing = folders.Where(folder => !Directory.Exists(Repository.PathOf(folder, "node_modules"))).ToArray();
        if (missing.Length > 0 && Environment.GetEnvironmentVariable("ONNXLLM_ALL_TESTS") is null)
            Skip = $"not installed: {string.Join(", ", missing.Select(folder => $"npm ci --prefix {folder}"))}";
    }
}
