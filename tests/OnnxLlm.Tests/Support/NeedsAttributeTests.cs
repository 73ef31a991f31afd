using System.Reflection;

namespace OnnxLlm.Tests.Support;

/// <summary>What is skipped, and what must not be.</summary>
public sealed class NeedsAttributeTests
{
    [Theory]
    [InlineData(null, null, "nginx is not installed.")]
    [InlineData("1", "", null)]
    [InlineData("1", "wrk", null)]
    [InlineData("1", "wrk nginx", "nginx is not installed.")]
    public void MissingProgram_UnderContinuousIntegration_IsSkippedOnlyIfItCouldNotBeInstalled(string? all, string? known, string? expected) =>
        Assert.Equal(expected, NeedsAttribute.Reason(["nginx"], name => name == "ONNXLLM_ALL_TESTS" ? all : name == "ONNXLLM_MISSING_PROGRAMS" ? known : throw new ArgumentException(name)));

    [Fact]
    public void MissingPrograms_OfWhichOneShouldBeThere_LetTheTestRun() =>
        Assert.Null(NeedsAttribute.Reason(["nginx", "wrk"], name => name == "ONNXLLM_ALL_TESTS" ? "1" : "wrk"));

    [Fact]
    public void NothingMissing_IsNotSkipped() => Assert.Null(NeedsAttribute.Reason([], _ => null));

    [Fact]
    public void NeededPrograms_AreInstalledByContinuousIntegration()
    {
        var text = File.ReadAllText(Repository.PathOf(".ci", "programs"));
        var needed = typeof(NeedsAttributeTests).Assembly.GetTypes().SelectMany(type => type.GetMethods()).SelectMany(method => method.GetCustomAttribute<NeedsAttribute>()?.Programs ?? []);
        Assert.All(needed.Distinct().Except(["node"]), program => Assert.Contains($"[{program}]=", text, StringComparison.Ordinal));
    }
}
