using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests;

/// <summary>The dependency rules and sizes of docs/architecture.md, checked against the built assemblies and the source tree.</summary>
public sealed partial class ArchitectureTests
{
    private const string Binding = "Microsoft.ML.OnnxRuntime";

    private static readonly string[] Programs = ["OnnxLlm.Training", "OnnxLlm.Serving", "OnnxLlm.Tools"];

    public static TheoryData<string> OurAssemblies => ["OnnxLlm.Graphs", "OnnxLlm.Text", .. Programs];

    [Theory]
    [MemberData(nameof(OurAssemblies))]
    public void Assembly_OtherThanRuntime_DoesNotReferenceOnnxRuntime(string assembly) =>
        Assert.DoesNotContain(ReferencesOf(assembly), r => r.StartsWith(Binding, StringComparison.Ordinal));

    [Fact]
    public void Runtime_IsTheOneThatReferencesOnnxRuntime() => Assert.Contains(Binding, ReferencesOf("OnnxLlm.Runtime"));

    [Fact]
    public void Graphs_References_OnlyTheFrameworkAndProtobuf() =>
        Assert.DoesNotContain(ReferencesOf("OnnxLlm.Graphs"), r => r != "Google.Protobuf" && !r.StartsWith("System", StringComparison.Ordinal));

    [Fact]
    public void Text_References_OnlyTheFramework() =>
        Assert.DoesNotContain(ReferencesOf("OnnxLlm.Text"), r => !r.StartsWith("System", StringComparison.Ordinal));

    [Fact]
    public void Programs_NeverReference_EachOther()
    {
        foreach (string program in Programs)
            Assert.Empty(ReferencesOf(program).Intersect(Programs.Where(p => p != program)));
    }

    [Fact]
    public void RuntimePublicSignatures_DoNotShow_OnnxRuntimeTypes()
    {
        var shown = Assembly.Load("OnnxLlm.Runtime").GetExportedTypes().SelectMany(SignatureTypes).Where(t => t.Assembly.GetName().Name == Binding);
        Assert.Empty(shown);
    }

    [Fact]
    public void Serving_UsesOfGraphs_OnlyDescriptionsOfTheModel()
    {
        string[] allowed = ["OnnxLlm.Graphs.ElementType", "OnnxLlm.Graphs.GraphException", "OnnxLlm.Graphs.Models.ModelConfig"];
        var used = TypesUsed("OnnxLlm.Serving").Where(t => t.StartsWith("OnnxLlm.Graphs.", StringComparison.Ordinal));
        Assert.Empty(used.Except(allowed));
    }

    [Fact]
    public void ServingEngine_KnowsNothingOf_AspNetCore()
    {
        // The project removes ASP.NET Core's implicit usings, so a use must name the namespace.
        foreach (string file in Repository.Sources("serving", "OnnxLlm.Serving", "Engine"))
        {
            string text = File.ReadAllText(file);
            Assert.False(text.Contains("Microsoft.AspNetCore", StringComparison.Ordinal), $"{file} uses ASP.NET Core.");
            Assert.False(text.Contains("OnnxLlm.Serving.Api", StringComparison.Ordinal), $"{file} uses the API.");
        }
    }

    [Theory]
    [InlineData("Scheduler.cs")]
    [InlineData("StepPlan.cs")]
    [InlineData("KvCachePool.cs")]
    [InlineData("Sampler.cs")]
    public void SchedulingPart_IsPure(string name)
    {
        string file = Assert.Single(Repository.Sources("serving", "OnnxLlm.Serving", "Engine"), f => Path.GetFileName(f) == name);
        Assert.DoesNotMatch(Impure(), File.ReadAllText(file));
    }

    [Fact]
    public void SourceFiles_StayUnder_FourHundredLines()
    {
        // Tables and the inner loops of kernels are the stated exceptions.
        string[] tables = ["GradientRules.cs", "GraphBuilder.Ops.cs"];
        var files = new[] { "graphs", "tools", "training", "serving", "tests" }.SelectMany(folder => Repository.Sources(folder));
        var tooLong = files.Where(f => !tables.Contains(Path.GetFileName(f)) && !f.Contains($"{Path.DirectorySeparatorChar}Kernels{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .Where(f => File.ReadLines(f).Count() > 400);
        Assert.Empty(tooLong);
    }

    [Fact]
    public void Folders_AreNamed_ForWhatTheyHold()
    {
        string[] unwanted = ["Common", "Utils", "Helpers", "Core", "Shared", "Services", "Misc"];
        var folders = new[] { "graphs", "tools", "training", "serving", "tests" }
            .SelectMany(Repository.Folders).Select(Path.GetFileName);
        Assert.Empty(folders.Intersect(unwanted));
    }

    private static IEnumerable<string> ReferencesOf(string assembly) =>
        Assembly.Load(assembly).GetReferencedAssemblies().Select(r => r.Name!);

    private static IEnumerable<Type> SignatureTypes(Type type)
    {
        const BindingFlags All = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var methods = type.GetMethods(All).SelectMany(m => m.GetParameters().Select(p => p.ParameterType).Append(m.ReturnType));
        var constructors = type.GetConstructors(All).SelectMany(c => c.GetParameters()).Select(p => p.ParameterType);
        return methods.Concat(constructors).Concat(type.GetFields(All).Select(f => f.FieldType)).SelectMany(Parts);
    }

    private static IEnumerable<Type> Parts(Type type) =>
        type.GetGenericArguments().SelectMany(Parts).Append(type.HasElementType ? type.GetElementType()! : type);

    private static HashSet<string> TypesUsed(string assembly)
    {
        using var file = new PEReader(File.OpenRead(Assembly.Load(assembly).Location));
        var metadata = file.GetMetadataReader();
        return [.. metadata.TypeReferences.Select(metadata.GetTypeReference)
            .Where(t => t.ResolutionScope.Kind == HandleKind.AssemblyReference)
            .Select(t => $"{metadata.GetString(t.Namespace)}.{metadata.GetString(t.Name)}")];
    }

    [GeneratedRegex(@"\b(async|await|lock|ILogger|TimeProvider|Stopwatch|DateTime|DateTimeOffset|Task|Channel)\b")]
    private static partial Regex Impure();
}
