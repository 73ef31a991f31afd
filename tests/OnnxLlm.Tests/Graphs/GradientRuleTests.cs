using OnnxLlm.Graphs.Autodiff;
using OnnxLlm.Graphs.Functions;
using OnnxLlm.Tools.Inspect;

namespace OnnxLlm.Tests.Graphs;

/// <summary>Gradient ≡ finite difference, for every row of the table and every function; <c>tools inspect ops</c> prints the same measurements.</summary>
public sealed class GradientRuleTests
{
    private static IEnumerable<GradientCase> All => GradientCases.Operators.Concat(FunctionCases.Gradients);

    public static TheoryData<string> Cases => [.. All.Select(c => c.ToString())];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rule_AgreesWithFiniteDifference(string name)
    {
        Measurement measured = FiniteDifference.Measure(All.Single(c => c.ToString() == name));
        Assert.True(measured.Passed, $"{name}: error {measured.Error:E1}, tolerance {measured.Tolerance:E1}");
    }

    [Fact]
    public void Table_EveryKey_HasACase() =>
        Assert.Equal(GradientRules.Differentiable, GradientCases.Operators.Select(c => c.Op).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Functions_EveryRule_HasACase() => Assert.Equal(
        FunctionList.All.Where(f => f.Gradient is not null).Select(f => f.Name).Order(StringComparer.Ordinal),
        FunctionCases.Gradients.Select(c => c.Op).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void Table_AndNonDifferentiable_AreDisjoint() =>
        Assert.Empty(GradientRules.Differentiable.Intersect(GradientRules.NonDifferentiable));
}
