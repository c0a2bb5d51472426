export declare function toolsFolder(root: string): string
export declare function provideTools(root: string): Promise<void>
